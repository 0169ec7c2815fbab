"""The cache of texts: one file in the user's folder, made once, by one process, again when something has changed."""

from __future__ import annotations

import json
import os
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from random import Random

import numpy as np
import pytest
from support.forked import in_children
from support.killed import KILLS, end_of, killed_at_random
from support.mutations import damaged_bytes
from support.own_files import ROWS

from vae_lightning import files
from vae_lightning.data import Texts
from vae_lightning.data.texts import JSONLines, LatinLetters, Reader, Tokenizer, UnicodeWords, cache
from vae_lightning.data.texts.cache import cached_texts
from vae_lightning.data.texts.corpus import Corpus, Text
from vae_lightning.files import locked
from vae_lightning.trust import keep_arrays, kept_arrays


@pytest.fixture
def kept(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The user's cache folder, of this test alone, where files that were only just written are kept, too."""
    folder = tmp_path_factory.mktemp("cache")
    monkeypatch.setenv("XDG_CACHE_HOME", str(folder))
    monkeypatch.setattr(cache, "SETTLED", -60.0)
    return folder / "vae-lightning"


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = tmp_path / "own.jsonl"
    path.write_text("\n".join(map(json.dumps, ROWS)))
    return path


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The paths that were read, and not only looked up."""
    seen: list[Path] = []
    texts = JSONLines.texts

    def counted(self: JSONLines, path: Path) -> Iterator[Text]:
        seen.append(path)
        yield from texts(self, path)

    monkeypatch.setattr(JSONLines, "texts", counted)
    return seen


def read(path: Path, reader: Reader | None = None, tokenizer: Tokenizer | None = None) -> Corpus:
    return cached_texts(path, reader or JSONLines(), tokenizer or UnicodeWords())


def values(corpus: Corpus) -> list[object]:
    documents = [array.tolist() for array in vars(corpus.documents).values()]
    return [documents, corpus.words, corpus.names, corpus.label_names]


def test_texts_are_read_once(table: Path, kept: Path, reads: list[Path]) -> None:
    first = values(read(table))
    assert values(read(table)) == first
    assert reads == [table]
    [file] = kept.iterdir()
    assert file.stat().st_mode & 0o777 == (table.stat().st_mode & 0o777)
    read(table, tokenizer=LatinLetters())  # another tokeniser, and another reader, have files of their own
    read(table, reader=JSONLines(label="one"))
    assert len(reads) == len(list(kept.iterdir())) == 3
    assert [path.name for path in table.parent.iterdir()] == ["own.jsonl"]


def test_a_module_prepared_by_one_process_is_read_by_all(table: Path, kept: Path, reads: list[Path]) -> None:
    Texts(table).prepare_data()
    data = Texts(table)
    data.setup()
    assert reads == [table]
    assert len(data.train) == 10


def test_what_changes_is_read_again_into_the_same_file(table: Path, kept: Path, reads: list[Path]) -> None:
    read(table)
    content = table.read_text()
    before = table.stat()
    table.write_text(content.replace("river", "water"))
    os.utime(table, ns=(before.st_atime_ns, before.st_mtime_ns))  # as long as before, and as old
    assert "water" in read(table).words
    assert len(reads) == 2
    assert len(list(kept.iterdir())) == 1
    folder = table.parent / "docs"
    folder.mkdir()
    for number in range(3):
        (folder / f"{number}.txt").write_text(f"text number {'x' * number}")
        data = Texts(folder, val_size=0, test_size=0)
        data.setup()
        assert len(data.names) == number + 1


def test_a_vocabulary_is_a_source_as_well(tmp_path: Path, kept: Path) -> None:
    (tmp_path / "m.ldac").write_text("1 0:1\n2 0:1 1:2\n")
    for words in (["a", "b"], ["c", "d"]):
        (tmp_path / "vocab.txt").write_text("\n".join(words))
        data = Texts(tmp_path / "m.ldac", val_size=0, test_size=0)
        data.setup()
        assert sorted(data.words) == words
    assert len(list(kept.iterdir())) == 1


def test_a_file_that_was_only_just_written_is_not_kept(
    table: Path, kept: Path, reads: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its next change might leave its time as it is."""
    monkeypatch.setattr(cache, "SETTLED", 2.0)
    read(table)
    read(table)
    assert len(reads) == 2
    assert not any(kept.glob("*"))


class Initials(Tokenizer):
    """Somebody's own."""

    def __call__(self, text: str) -> list[str]:
        return [word[0] for word in text.split()]


def test_a_tokeniser_of_ones_own_is_asked_again_unless_it_has_a_version(
    table: Path, kept: Path, reads: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(2):
        assert read(table, tokenizer=Initials()).words == ["o", "r", "s", "w"]
    assert len(reads) == 2
    for version, times in (("1", 3), ("1", 3), ("2", 4)):
        monkeypatch.setattr(Initials, "version", version)
        read(table, tokenizer=Initials())
        assert len(reads) == times


DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "half": lambda b: b[: len(b) // 2],
    "empty": lambda b: b"",
    "a byte": lambda b: b[:200] + bytes([b[200] ^ 1]) + b[201:],
    "some text": lambda b: b"text",
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_a_damaged_cache_is_made_again(
    damage: Callable[[bytes], bytes], table: Path, kept: Path, reads: list[Path]
) -> None:
    first = values(read(table))
    [file] = kept.iterdir()
    whole = file.read_bytes()
    file.write_bytes(damage(whole))
    assert values(read(table)) == first
    assert len(reads) == 2
    assert file.read_bytes() == whole


def test_any_damage_is_seen(table: Path, kept: Path) -> None:
    first = values(read(table))
    [file] = kept.iterdir()
    whole = file.read_bytes()
    for seed in range(40):
        file.write_bytes(damaged_bytes(whole, Random(seed)))
        assert values(read(table)) == first


def test_what_the_file_says_is_looked_at(table: Path, kept: Path) -> None:
    """A file with a right seal, of something that is no corpus."""
    first = values(read(table))
    [file] = kept.iterdir()
    arrays = kept_arrays(file)
    assert arrays is not None
    changes = {
        "all.words": np.full_like(arrays["all.words"], 10_000),
        "all.counts": arrays["all.counts"].astype(np.int64),
        "all.labels": arrays["all.labels"] + 2,
        "all.offsets": arrays["all.offsets"][::-1].copy(),
        "names": np.frombuffer(b'["one"]', np.uint8),
        "words": np.frombuffer(b"[" * 100_000, np.uint8),
        "label_names": np.frombuffer(b'{"a": 1}', np.uint8),
    }
    for name, array in changes.items():
        with file.open("wb") as out:
            keep_arrays(out, arrays | {name: array})
        assert values(read(table)) == first


def test_nowhere_to_keep_it_is_no_error(table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert len(read(table)) == len(ROWS)


# -- several processes -----------------------------------------------------------------------------------------------


class Slow(JSONLines):
    """Tells when it begins."""

    version = "1"

    def texts(self, path: Path) -> Iterator[Text]:
        with Path("log").open("a") as log:
            log.write("read\n")
        time.sleep(0.3)
        yield from super().texts(path)


def test_of_two_processes_one_reads_and_both_have_the_same(table: Path, kept: Path, tmp_path: Path) -> None:
    def run() -> int:
        found = json.dumps(values(read(table, reader=Slow())))
        Path(f"found of {os.getpid()}").write_text(found)
        return 0

    assert in_children([run, run], tmp_path, tmp_path / "out", tmp_path / "err") == [0, 0]
    one, other = tmp_path.glob("found of *")
    assert one.read_text() == other.read_text() == json.dumps(values(read(table)))
    assert (tmp_path / "log").read_text() == "read\n"
    assert len(list(kept.iterdir())) == 2  # of both readers; no lock, no part


class Killed(JSONLines):
    """Ends its process in the middle, where somebody asks for that."""

    version = "1"

    def texts(self, path: Path) -> Iterator[Text]:
        yield from super().texts(path)
        if "KILLED" in os.environ:
            os.kill(os.getpid(), signal.SIGKILL)


def test_a_killed_writer_leaves_nothing_behind(table: Path, kept: Path, tmp_path: Path) -> None:
    def run() -> int:
        os.environ["KILLED"] = "yes"
        read(table, reader=Killed())
        return 0

    assert in_children([run], tmp_path, tmp_path / "out", tmp_path / "err") == [-signal.SIGKILL]
    assert [path.stat().st_size for path in kept.iterdir()] == [0]  # a lock that nobody holds
    assert len(read(table, reader=Killed())) == len(ROWS)
    [file] = kept.iterdir()
    assert file.suffix == ".npz"


def test_killed_at_random_moments_the_cache_is_whole_or_not_there(
    kept: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is left has the bytes of one that nobody killed; a file that was begun is removed by the next writer."""
    monkeypatch.setattr(files, "_SURELY_LOCKED", 0.0)
    table = tmp_path / "long.jsonl"
    table.write_text("\n".join(json.dumps({"text": f"word{n % 97} word{n} and another"}) for n in range(3_000)))
    began = time.monotonic()
    read(table)
    took, expected = time.monotonic() - began, contents(kept)
    shutil.rmtree(kept)

    def check() -> None:
        assert contents(kept) == expected
        shutil.rmtree(kept)

    def run(patience: float | None) -> int:
        status = end_of(partial(read, table), patience)
        whole = {name: content for name, content in contents(kept).items() if not name.startswith(".")}
        assert whole in ({}, expected)
        return status

    wholes = killed_at_random(run, check, longest=2.5 * took)
    print(f"the cache of texts: {KILLS} kills at random moments, {wholes} whole, all with the same bytes")


def contents(folder: Path) -> dict[str, bytes]:
    """Of each file."""
    return {path.name: path.read_bytes() for path in folder.iterdir()} if folder.exists() else {}


def test_a_lock_keeps_others_out_and_goes_with_its_block(tmp_path: Path) -> None:
    def run() -> int:
        for _ in range(20):
            with locked(tmp_path / "x"):
                inside = tmp_path / "inside"
                inside.touch(exist_ok=False)
                inside.unlink()
        return 0

    assert in_children([run] * 3, tmp_path, tmp_path / "out", tmp_path / "err") == [0, 0, 0]
    assert not list(tmp_path.glob(".x*"))
    with locked(tmp_path / "out" / "nowhere"):  # a folder that cannot be made
        pass
