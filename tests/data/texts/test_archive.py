"""Archive and cache: what is wrong with a file is named in one line; a damaged cache is made again."""

from __future__ import annotations

import hashlib
import io
import os
import re
import tarfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.archive import ARCHIVE, write_archive, write_miniature

from vae_lightning.data.texts import archive, cache, documents
from vae_lightning.data.texts.archive import parse_triples, read_corpus
from vae_lightning.data.texts.cache import cached_corpus

GOOD = {
    "train.data": b"1 1 2\n1 3 1\n2 2 5\n",
    "train.label": b"1\n2\n",
    "train.map": b"one 1\ntwo 2\n",
    "test.data": b"1 2 1\n",
    "test.label": b"2\n",
    "test.map": b"one 1\ntwo 2\n",
}


def read(folder: Path, **changes: bytes | None) -> archive.Corpus:
    """The corpus of GOOD with some members changed (train_data=...) or left out (None)."""
    members = GOOD | {name.replace("_", "."): content for name, content in changes.items()}
    write_archive(folder / ARCHIVE, {name: content for name, content in members.items() if content is not None})
    return read_corpus(folder / ARCHIVE)


@pytest.fixture
def own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The user's cache folder, of this test alone."""
    folder = tmp_path_factory.mktemp("cache")
    monkeypatch.setenv("XDG_CACHE_HOME", str(folder))
    (folder / "vae-lightning").mkdir()
    return folder / "vae-lightning"


def test_a_good_archive(tmp_path: Path) -> None:
    corpus = read(tmp_path)
    assert corpus.label_names == ["one", "two"]
    assert corpus.train.offsets.tolist() == [0, 2, 3]
    assert corpus.train.words.tolist() == [0, 2, 1]
    assert corpus.train.counts.tolist() == [2, 1, 5]
    assert corpus.train.labels.tolist() == [0, 1]
    assert len(corpus.test) == 1


def test_lines_may_come_in_any_order(tmp_path: Path) -> None:
    shuffled = read(tmp_path, train_data=b"2 2 5\n1 3 1\n1 1 2")
    assert shuffled.train.words.tolist() == [0, 2, 1]


EXPECTED = "expected three positive whole numbers 'docIdx wordIdx count', got "


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"train_data": b"1 1 2\n1 3\n2 2 5\n"}, f"train.data, line 2: {EXPECTED}'1 3'"),
        ({"train_data": b"1 1 2\n1 3 1 1\n2 2\n"}, f"train.data, line 2: {EXPECTED}'1 3 1 1'"),
        ({"train_data": b"1 1 2\n1 3 x\n2 2 5\n"}, f"train.data, line 2: {EXPECTED}'1 3 x'"),
        ({"train_data": b"1 1 2\n1 3 0\n2 2 5\n"}, f"train.data, line 2: {EXPECTED}'1 3 0'"),
        ({"train_data": b"1 1 2\n1 3 1\n2 2 -5\n"}, f"train.data, line 3: {EXPECTED}'2 2 -5'"),
        ({"test_data": b"0 1 2\n"}, f"test.data, line 1: {EXPECTED}'0 1 2'"),
        ({"test_data": b"1 1 99999999999\n"}, f"test.data, line 1: {EXPECTED}'1 1 99999999999'"),
        ({"train_data": b"1 1 2\n1 1 1\n2 2 5\n"}, "train.data counts word 1 of document 1 twice"),
        ({"train_data": b"1 1 2\n2 2 5\n3 1 1\n"}, "train.data has document 3, but train.label only 2 labels"),
        ({"train_data": b"1 1 2\n"}, "document 2 of train.label has no words in train.data"),
        ({"test_data": b""}, "document 1 of test.label has no words in test.data"),
        ({"train_label": b"1\n3\n"}, "train.label, line 2: expected a label from 1 to 2, got '3'"),
        ({"train_label": b"1\ntwo\n"}, "train.label, line 2: expected a label from 1 to 2, got 'two'"),
        ({"train_map": b"one 1\ntwo 3\n"}, "train.map, line 2: expected 'label 2', got 'two 3'"),
        ({"test_map": b"one 1\n"}, "train.map and test.map name different labels"),
        ({"test_map": None}, "lacks 20news-bydate/matlab/test.map: it must be the 'processed' by-date archive"),
    ],
)
def test_a_malformed_archive_is_named_in_one_line(
    tmp_path: Path, changes: dict[str, bytes | None], message: str
) -> None:
    with pytest.raises(ValueError, match=re.escape(message)) as error:
        read(tmp_path, **changes)
    assert "\n" not in str(error.value)


def test_a_truncated_archive_and_a_web_page(tmp_path: Path, own_cache: Path) -> None:
    path = write_miniature(tmp_path) / ARCHIVE
    whole = path.read_bytes()
    for content in (whole[: len(whole) // 2], whole[:-6], b"<html></html>", b""):
        path.write_bytes(content)
        with pytest.raises(
            ValueError, match=r"is not a whole .tgz archive .*: expected the 'processed' by-date archive"
        ):
            cached_corpus(path)
    assert [file.name for file in own_cache.glob("*.npz")] == []
    with pytest.raises(ValueError, match=r"cannot read .*none.tgz: No such file"):
        cached_corpus(tmp_path / "none.tgz")


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE])
def test_links_and_devices_are_refused(tmp_path: Path, kind: bytes) -> None:
    with tarfile.open(tmp_path / ARCHIVE, "w:gz") as file:
        info = tarfile.TarInfo("20news-bydate/matlab/train.data")
        info.type, info.linkname = kind, "/etc/passwd"
        file.addfile(info)
    with pytest.raises(ValueError, match=r"train.data is not a regular file"):
        read_corpus(tmp_path / ARCHIVE)


def test_a_member_of_absurd_size_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive, "LARGEST_MEMBER", 10)
    with pytest.raises(ValueError, match=r"train.data is not a regular file of at most 10 bytes"):
        read(tmp_path)


def test_other_members_are_left_alone(tmp_path: Path) -> None:
    write_archive(tmp_path / ARCHIVE, GOOD | {"../../../escaped": b"x", "/train.data": b"x"})
    assert len(read_corpus(tmp_path / ARCHIVE).train) == 2
    assert [path.name for path in tmp_path.iterdir()] == [ARCHIVE]


@given(st.lists(st.tuples(*[st.integers(1, 999_999_999)] * 3), max_size=40), st.integers(1, 64))
def test_parsing_in_pieces_is_parsing_at_once(rows: list[tuple[int, int, int]], size: int) -> None:
    text = "".join(f"{a} {b} {c}\n" for a, b, c in rows).encode()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(archive, "CHUNK", size)
        assert parse_triples(text, "x").tolist() == [list(row) for row in rows]


def same(first: archive.Corpus, second: archive.Corpus) -> bool:
    splits = ((first.train, second.train), (first.test, second.test))
    arrays = all(np.array_equal(getattr(a, field), getattr(b, field)) for a, b in splits for field in documents.FIELDS)
    return arrays and first.label_names == second.label_names and first.hashes == second.hashes


@pytest.mark.parametrize(
    "written",
    [
        lambda text: text.replace(b"\n", b"\r\n"),
        lambda text: b"\xef\xbb\xbf" + text,
        lambda text: text.rstrip(b"\n"),
        lambda text: text + b"\n\r\n",
        lambda text: text.replace(b" ", b"\t ").replace(b"\n", b" \n"),
        lambda text: b"\xef\xbb\xbf" + text.replace(b"\n", b"\r"),
    ],
    ids=["CRLF", "BOM", "no last newline", "empty lines behind", "blanks", "old Macintosh"],
)
def test_texts_as_other_systems_write_them(tmp_path: Path, written: Callable[[bytes], bytes]) -> None:
    plain = read(tmp_path)
    (tmp_path / "other").mkdir()
    other = read(tmp_path / "other", **{name.replace(".", "_"): written(text) for name, text in GOOD.items()})
    assert other.label_names == plain.label_names
    for split in ("train", "test"):
        for field in documents.FIELDS:
            assert np.array_equal(getattr(getattr(other, split), field), getattr(getattr(plain, split), field))


def test_hashes_are_compared_before_anything_is_parsed(tmp_path: Path) -> None:
    write_archive(tmp_path / ARCHIVE, GOOD | {"train.data": b"not to be parsed"})

    def refuse(hashes: Mapping[str, str]) -> None:
        raise ValueError(f"another train.data: {hashes['train.data'][:6]}")

    with pytest.raises(ValueError, match=hashlib.sha256(b"not to be parsed").hexdigest()[:6]):
        cached_corpus(tmp_path / ARCHIVE, trust=refuse)


@pytest.mark.parametrize("name", ["train.label", "test.map"])
def test_lists_of_absurd_size_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setattr(archive, "LARGEST_LIST", 3)
    with pytest.raises(ValueError, match=r"is not a regular file of at most 3 bytes"):
        read(tmp_path)


def test_a_line_without_an_end_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive, "CHUNK", 10)
    with pytest.raises(ValueError, match=r"train\.data has a line of more than 1000 bytes after byte 10"):
        read(tmp_path, train_data=b"1" * 2000)


def test_a_second_start_reads_the_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_miniature(tmp_path) / ARCHIVE
    parsed = cached_corpus(path)
    monkeypatch.setattr(cache, "read_corpus", lambda *_: pytest.fail("parsed again"))
    assert same(cached_corpus(path), parsed)


def stored(**changes: Any) -> Callable[[bytes], bytes]:
    """What is damaged is not a byte but what the file says: a sound archive of other arrays."""

    def rewritten(content: bytes) -> bytes:
        out = io.BytesIO()
        kept = dict(np.load(io.BytesIO(content))) | changes
        np.savez(out, **{name: array for name, array in kept.items() if array is not None})
        return out.getvalue()

    return rewritten


def packed(content: bytes) -> bytes:
    """Compressed, as nothing of ours is: what takes no space in a file could take all memory."""
    out = io.BytesIO()
    np.savez_compressed(out, **dict(np.load(io.BytesIO(content))))
    return out.getvalue()


DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "half": lambda b: b[: len(b) // 2],
    "empty": lambda b: b"",
    "a byte": lambda b: b[:900] + b"\xff" + b[901:],
    "its last name": lambda b: b[:-20],
    "no words": stored(**{"train.words": None}),
    "words in text": stored(**{"train.words": np.array(["a"])}),
    "words before the first": stored(**{"test.words": np.array([-1], dtype=np.int32)}),
    "labels of nobody": stored(label_names=np.array(["one"])),
    "offsets beyond the end": stored(**{"train.offsets": np.array([0, 10**9])}),
    "one number": stored(label_names=np.array(1)),
    "objects": lambda b: stored()(b).replace(b"'descr': '<i8'", b"'descr': '|O' "),
    "packed": packed,
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_a_damaged_cache_is_made_again(tmp_path: Path, own_cache: Path, damage: Callable[[bytes], bytes]) -> None:
    path = write_miniature(tmp_path) / ARCHIVE
    parsed = cached_corpus(path)
    [file] = own_cache.glob("20news-*.npz")
    whole = file.read_bytes()
    file.write_bytes(damage(whole))
    assert same(cached_corpus(path), parsed)
    assert file.stat().st_size == len(whole)


def test_another_archive_has_another_cache(tmp_path: Path) -> None:
    path = write_miniature(tmp_path) / ARCHIVE
    cached_corpus(path)
    read(tmp_path)
    assert len(cached_corpus(path).train) == 2


def test_the_cache_lies_in_the_users_folder_and_not_beside_the_archive(tmp_path: Path, own_cache: Path) -> None:
    path = write_miniature(tmp_path) / ARCHIVE
    before = sorted(tmp_path.iterdir())
    parsed = cached_corpus(path)
    assert sorted(tmp_path.iterdir()) == before
    [file] = own_cache.iterdir()
    os.utime(file, (0, 0))
    assert same(cached_corpus(path), parsed)
    assert file.stat().st_mtime == 0


def test_nowhere_to_cache_is_no_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "home").write_bytes(b"a file, not a folder")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "home"))
    path = write_miniature(tmp_path) / ARCHIVE
    assert len(cached_corpus(path).train) == 120


def test_the_archive_is_the_same_every_time(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        write_miniature(tmp_path / name)
    assert (tmp_path / "a" / ARCHIVE).read_bytes() == (tmp_path / "b" / ARCHIVE).read_bytes()
    assert io.BytesIO((tmp_path / "a" / ARCHIVE).read_bytes()).read(2) == b"\x1f\x8b"
