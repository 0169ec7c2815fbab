"""Newsgroups: splits, vocabulary, lengths, checkpoints and mistakes on a miniature archive; figures on the real one."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
import tarfile
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.stats
import torch
from hypothesis import given
from hypothesis import strategies as st
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.cli import LightningCLI
from sklearn.feature_extraction.text import ENGLISH_STOP_WORDS
from support import archive as archives

from vae_lightning.counts import Counts
from vae_lightning.data import ByDocuments, Newsgroups
from vae_lightning.data.texts.newsgroups import OFFICIAL, split_rows
from vae_lightning.data.texts.stop_words import EnglishStopWords, StopWordsFile


def newsgroups(folder: Path, **options: object) -> Newsgroups:
    data = Newsgroups(folder, **{"hashes": None, "num_words": 40, "val_size": 20, **options})
    data.setup()
    return data


def read_triples(folder: Path, split: str) -> list[list[int]]:
    """The lines of .data, by the plainest means."""
    with tarfile.open(folder / archives.ARCHIVE) as archive:
        content = archive.extractfile(f"20news-bydate/matlab/{split}.data").read().decode()
    return [[int(field) for field in line.split()] for line in content.splitlines()]


@pytest.mark.parametrize("num_words", [5, 40])
def test_each_document_has_the_counts_of_its_kept_words(miniature: Path, num_words: int) -> None:
    data = newsgroups(miniature, num_words=num_words)
    for split, parts in {"train": (data.train, data.val), "test": (data.test,)}.items():
        expected: dict[int, Counter[str]] = {}
        for doc, word, count in read_triples(miniature, split):
            name = archives.WORDS[word - 1]
            expected.setdefault(doc, Counter())
            if name in data.words:
                expected[doc][name] = count
        seen = []
        for part in parts:
            dense = part.x.dense(num_words)
            for row, doc, label in zip(dense, part.ids.tolist(), part.y.tolist(), strict=True):
                assert {data.words[n]: int(row[n]) for n in row.nonzero()[:, 0]} == expected[doc]
                assert label == (doc - 1) % 4
                seen.append(doc)
            assert part.x.total.equal(dense.sum(-1))
        assert sorted(seen) == sorted(expected)
    assert data.label_names == list(archives.GROUPS)


@pytest.mark.parametrize("by_documents", [False, True])
def test_the_vocabulary_is_the_best_words_of_all_training_documents(miniature: Path, by_documents: bool) -> None:
    scores: Counter[int] = Counter()
    for _, word, count in read_triples(miniature, "train"):
        scores[word] += 1 if by_documents else count
    best = sorted(scores, key=lambda word: (-scores[word], word))[:40]
    data = newsgroups(miniature, **({"ranking": ByDocuments()} if by_documents else {}))
    assert data.words == [archives.WORDS[word - 1] for word in best]
    assert data.vocabulary_hash == hashlib.sha256("\n".join(data.words).encode()).hexdigest()


def test_stop_words_make_room_for_others(miniature: Path, tmp_path: Path) -> None:
    stopped = newsgroups(miniature, num_words=3).words
    (tmp_path / "stop.txt").write_text(f"{stopped[0].upper()} {stopped[1]}\n{stopped[2]}\n")
    data = newsgroups(miniature, num_words=5, stop_words=StopWordsFile(tmp_path / "stop.txt"))
    assert data.words == newsgroups(miniature, num_words=8).words[3:]
    assert set(EnglishStopWords().words()) == set(ENGLISH_STOP_WORDS)
    with pytest.raises(ValueError, match=r"cannot read stop words from .*none.txt"):
        newsgroups(miniature, stop_words=StopWordsFile(tmp_path / "none.txt"))


@given(st.integers(1, 200), st.floats(0, 0.99) | st.integers(0, 199), st.integers(0, 9))
def test_splits_are_disjoint_and_of_the_size_asked_for(num: int, val_size: float, seed: int) -> None:
    expected = round(num * val_size) if val_size < 1 else val_size
    if expected >= num:
        with pytest.raises(ValueError, match=f"a whole number below {num}, got {val_size}"):
            split_rows(num, val_size, seed)
        return
    train, val = split_rows(num, val_size, seed)
    assert len(val) == expected
    assert torch.cat([train, val]).sort().values.equal(torch.arange(num))
    assert split_rows(num, val_size, seed)[1].equal(val)


def test_the_split_follows_its_own_seed(miniature: Path) -> None:
    first, same, other = (newsgroups(miniature, split_seed=seed).val.ids.tolist() for seed in (0, 0, 1))
    assert first == same != other
    for bad in (-1, 2.5, 120):
        with pytest.raises(ValueError, match="val_size must be a share"):
            newsgroups(miniature, val_size=bad)


def test_lengths_are_fitted_by_maximum_likelihood(miniature: Path) -> None:
    data = newsgroups(miniature)
    sigma, _, median = scipy.stats.lognorm.fit(data.train.x.total.numpy(), floc=0)
    assert float(data.length_distribution.loc) == pytest.approx(np.log(median), rel=1e-4)
    assert float(data.length_distribution.scale) == pytest.approx(sigma, rel=1e-3)


def test_documents_without_kept_words_stay(miniature: Path) -> None:
    data = newsgroups(miniature, num_words=2, val_size=0)
    assert len(data.train) == archives.TRAIN
    assert (data.train.x.total == 0).any()
    assert torch.isfinite(data.length_distribution.loc)


def test_setup_reports_once(miniature: Path, caplog: pytest.LogCaptureFixture) -> None:
    data = newsgroups(miniature)
    data.setup("test")
    reports = [record.getMessage() for record in caplog.records if "20 Newsgroups" in record.getMessage()]
    assert len(reports) == 1
    kept = sum(float(part.x.total.sum()) for part in (data.train, data.val))
    share = kept / sum(count for *_, count in read_triples(miniature, "train"))
    assert "100 train, 20 val, 61 test documents; 40 of 80 words" in reports[0]
    assert f"{share:.1%} of the training text; vocabulary {data.vocabulary_hash[:12]};" in reports[0]


class Nothing(LightningModule):
    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(40, 4))

    def training_step(self, batch: tuple[Counts, torch.Tensor]) -> torch.Tensor:
        return torch.nn.functional.cross_entropy(batch[0] @ self.weight, batch[1])

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.Adam(self.parameters())


SILENT = {
    "logger": False,
    "enable_progress_bar": False,
    "enable_model_summary": False,
    "accelerator": "cpu",
    "devices": 1,
    "limit_val_batches": 0,
}


def test_a_checkpoint_holds_the_vocabulary_and_plain_hyperparameters(miniature: Path, tmp_path: Path) -> None:
    data = newsgroups(miniature, ranking=ByDocuments(), batch_size=16)
    trainer = Trainer(max_epochs=1, enable_checkpointing=False, **SILENT)
    trainer.fit(Nothing(), datamodule=data)
    trainer.save_checkpoint(tmp_path / "a.ckpt")
    checkpoint = torch.load(tmp_path / "a.ckpt", weights_only=True)
    assert checkpoint["Newsgroups"]["words"] == data.words
    assert checkpoint["Newsgroups"]["label_names"] == list(archives.GROUPS)
    assert checkpoint["datamodule_hyper_parameters"]["num_words"] == 40
    assert checkpoint["datamodule_hyper_parameters"]["path"] == str(miniature)
    assert checkpoint["datamodule_hyper_parameters"]["ranking"] == {"class_path": "vae_lightning.data.ByDocuments"}

    options = {"max_epochs": 2, "enable_checkpointing": False, **SILENT}
    Trainer(**options).fit(Nothing(), datamodule=data, ckpt_path=tmp_path / "a.ckpt", weights_only=True)
    other = newsgroups(miniature, stop_words=None, ranking=ByDocuments(), num_words=39)
    with pytest.raises(
        ValueError, match=f"{data.vocabulary_hash[:12]} .40 words. is not .* {other.vocabulary_hash[:12]}"
    ):
        Trainer(**options).fit(Nothing(), datamodule=other, ckpt_path=tmp_path / "a.ckpt", weights_only=True)


def test_a_run_of_the_command_line_can_be_built_again_from_its_checkpoint(miniature: Path, tmp_path: Path) -> None:
    arguments = ["fit", "--data=vae_lightning.data.Newsgroups", f"--data.path={miniature}", "--data.hashes=null"]
    arguments += ["--data.num_words=40", "--data.val_size=20", "--data.ranking=vae_lightning.data.ByDocuments"]
    arguments += ["--data.stop_words=vae_lightning.data.texts.stop_words.EnglishStopWords"]
    options = {"max_epochs": 1, "enable_checkpointing": False, **SILENT}
    cli = LightningCLI(Nothing, trainer_defaults=options, save_config_callback=None, args=arguments)
    cli.trainer.save_checkpoint(tmp_path / "a.ckpt")
    again = Newsgroups.load_from_checkpoint(tmp_path / "a.ckpt", weights_only=True)
    again.setup()
    assert isinstance(again.ranking, ByDocuments)
    assert isinstance(again.stop_words, EnglishStopWords)
    assert again.words == cli.datamodule.words


def test_the_archive_itself_may_be_named(miniature: Path) -> None:
    assert newsgroups(miniature / archives.ARCHIVE).words == newsgroups(miniature).words


def test_a_named_archive_may_have_any_name(miniature: Path, tmp_path: Path) -> None:
    shutil.copy(miniature / archives.ARCHIVE, tmp_path / "mine.tar.gz")
    shutil.copy(miniature / archives.VOCABULARY, tmp_path)
    assert newsgroups(tmp_path / "mine.tar.gz").words == newsgroups(miniature).words
    with pytest.raises(ValueError, match=r"there is no 20news-bydate-matlab.tgz in .*other.tgz"):
        newsgroups(tmp_path / "other.tgz")


@pytest.mark.parametrize(
    "written",
    [
        lambda text: text.rstrip(b"\n"),
        lambda text: text.replace(b"\n", b"\r\n"),
        lambda text: b"\xef\xbb\xbf" + text.replace(b"\n", b"\r"),
        lambda text: text.replace(b"\n", b" \t\n") + b"\n\r\n",
    ],
    ids=["no last newline", "CRLF", "BOM, old Macintosh", "blanks and empty lines behind"],
)
def test_a_vocabulary_as_other_systems_write_it(miniature: Path, tmp_path: Path, written: Any) -> None:
    """The same words under the same ids: a search finds them, and no checkpoint is of another vocabulary."""
    shutil.copy(miniature / archives.ARCHIVE, tmp_path)
    text = (miniature / archives.VOCABULARY).read_bytes()
    (tmp_path / archives.VOCABULARY).write_bytes(written(text))
    data, plain = newsgroups(tmp_path), newsgroups(miniature)
    assert (data.words, data.vocabulary_hash) == (plain.words, plain.vocabulary_hash)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"one\n\nthree\n", "20news-vocabulary.txt, line 2: expected 1 to 1,000 characters, got none"),
        (
            b"one\ntwo\ncaf\xe9\n",
            "20news-vocabulary.txt, line 3: expected UTF-8 text, got other bytes: save it as UTF-8",
        ),
        ("one\ntwo\n".encode("utf-16"), "line 1: expected UTF-8 text"),
        (b"one\n" + b"x" * 1001, "20news-vocabulary.txt, line 2: expected 1 to 1,000 characters, got 1,001 characters"),
    ],
)
def test_a_vocabulary_that_is_none(miniature: Path, tmp_path: Path, content: bytes, message: str) -> None:
    shutil.copy(miniature / archives.ARCHIVE, tmp_path)
    (tmp_path / archives.VOCABULARY).write_bytes(content)
    with pytest.raises(ValueError, match=re.escape(message)):
        newsgroups(tmp_path)


def test_stop_words_as_other_systems_write_them(tmp_path: Path) -> None:
    (tmp_path / "stop.txt").write_bytes(b"\xef\xbb\xbfthe\r\nof\r\n")
    assert StopWordsFile(tmp_path / "stop.txt").words() == {"the", "of"}
    (tmp_path / "stop.txt").write_bytes(b"caf\xe9")
    with pytest.raises(ValueError, match=r"cannot read stop words from .*stop.txt, expected UTF-8 text"):
        StopWordsFile(tmp_path / "stop.txt").words()


def test_paths_that_are_no_archive(miniature: Path, tmp_path: Path) -> None:
    """Each is one line that says what it is, what was expected, and never that it should be removed."""
    (tmp_path / "docs.csv").write_text("a,b\n1,2\n")
    shutil.make_archive(str(tmp_path / "docs"), "zip", miniature)
    (tmp_path / "empty.tgz").touch()
    os.mkfifo(tmp_path / "pipe")
    for name in ("docs.csv", "docs.zip", "empty.tgz", "pipe", "/dev/zero"):
        with pytest.raises(ValueError, match=r".+") as error:
            newsgroups(tmp_path / name)
        line = str(error.value)
        assert re.search(
            "is not a whole .tgz archive .*: expected the 'processed'|is a pipe or a device, where a fi", line
        )
        assert not re.search("delete|remove", line)
        assert "\n" not in line


def test_mistakes(miniature: Path, tmp_path: Path) -> None:
    with pytest.raises(
        ValueError, match=r"there is no 20news-bydate-matlab.tgz in .*get http://.* by hand and save it as"
    ):
        newsgroups(tmp_path)
    with pytest.raises(ValueError, match="num_words is 81, but only 80 words occur"):
        newsgroups(miniature, num_words=81)
    with pytest.raises(ValueError, match="num_words must be at least 2, got 1"):
        newsgroups(miniature, num_words=1)
    (tmp_path / archives.ARCHIVE).write_bytes((miniature / archives.ARCHIVE).read_bytes())
    with pytest.raises(
        ValueError, match=r"there is no 20news-vocabulary.txt in .*get http://.*/vocabulary.txt by hand"
    ):
        newsgroups(tmp_path)
    (tmp_path / archives.VOCABULARY).write_text("one\ntwo\nthree\n")
    with pytest.raises(ValueError, match=r"train.data has word 80, but 20news-vocabulary.txt only 3 words"):
        newsgroups(tmp_path)
    assert left_in(tmp_path) == {archives.ARCHIVE, archives.VOCABULARY}


def test_files_of_another_hash_are_named_and_leave_nothing_behind(
    miniature: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path.parent / f"{tmp_path.name}-cache"))
    cache = tmp_path.parent / f"{tmp_path.name}-cache" / "vae-lightning"
    for name in (archives.ARCHIVE, archives.VOCABULARY):
        shutil.copy(miniature / name, tmp_path)
    archive, vocabulary = (re.escape(str(tmp_path / name)) for name in (archives.ARCHIVE, archives.VOCABULARY))
    manual = "get http://.* by hand and save it as"
    with pytest.raises(
        ValueError,
        match=rf"^{archive} is not .*: train.data has sha256 \w{{12}}..., expected dc3bf23fa285...; {manual} {archive}",
    ):
        newsgroups(tmp_path, hashes=OFFICIAL)
    members = {name: hashlib.sha256(content).hexdigest() for name, content in read_members(miniature).items()}
    with pytest.raises(
        ValueError, match=rf"^{vocabulary} is not .*: {archives.VOCABULARY} has sha256 .*{manual} {vocabulary}"
    ):
        newsgroups(tmp_path, hashes=members | {archives.VOCABULARY: "0" * 64})
    assert left_in(tmp_path) == {archives.ARCHIVE, archives.VOCABULARY}
    assert not cache.exists()
    official = hashlib.sha256((tmp_path / archives.VOCABULARY).read_bytes()).hexdigest()
    newsgroups(tmp_path, hashes=members | {archives.VOCABULARY: official})
    assert len(left_in(cache)) == 1
    with pytest.raises(ValueError, match=r"train.data has sha256"):
        newsgroups(tmp_path, hashes=OFFICIAL)  # also where it comes from the cache


def left_in(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def read_members(folder: Path) -> dict[str, bytes]:
    with tarfile.open(folder / archives.ARCHIVE) as archive:
        return {Path(info.name).name: archive.extractfile(info).read() for info in archive}


MEASURED = """
import resource, time
from vae_lightning.data import Newsgroups
def peak(): return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
def start():
    begun, data = time.perf_counter(), Newsgroups()
    data.prepare_data()
    data.setup()
    return time.perf_counter() - begun
imports = peak()
start()
print(peak() - imports, start())
"""


def test_the_real_archive(real_newsgroups: Path) -> None:
    data = Newsgroups(real_newsgroups)
    data.setup()
    assert (len(data.train) + len(data.val), len(data.test)) == (11_269, 7_505)
    assert data.words[:5] == ["the", "to", "of", "and", "in"]
    assert len(set(data.words)) == 10_000
    assert (data.test.x.total > 0).all()
    assert len(data.label_names) == 20
    assert torch.bincount(data.test.y).min() == 251
    expected_mean = data.train.x.total.log().mean()
    assert float(data.length_distribution.loc) == pytest.approx(float(expected_mean), rel=1e-5)


def test_the_real_archive_is_small_in_memory_and_quick_when_parsed(real_newsgroups: Path, tmp_path: Path) -> None:
    """Under 200 MB above the imports while it is parsed; under 1 s from the cache."""
    for name in (archives.ARCHIVE, archives.VOCABULARY):
        (tmp_path / name).write_bytes((real_newsgroups / name).read_bytes())
    environment = {**os.environ, "VAE_LIGHTNING_DATA": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path)}
    command = [sys.executable, "-c", MEASURED]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    megabytes, seconds = map(float, done.stdout.split())
    assert megabytes < 200
    assert seconds < 1
    assert len(list(tmp_path.glob("vae-lightning/20news-*.npz"))) == 1
