"""Every writer on a full disk: one line says so, nothing half-written is left, and with room all goes on."""

from __future__ import annotations

import errno
import os
import resource
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import pytest
from support.command import command, left_with
from support.endured import in_a_child, unlike, whole
from support.faces import write_faces
from support.kinds import trained
from support.models import events
from support.short_run import tiny
from support.small_studies import SMALL
from tensorboard.compat.tensorflow_stub.io.gfile import LocalFileSystem

from vae_lightning.data import CelebA, Digits, StaticBinarisation
from vae_lightning.data.texts import JSONLines, UnicodeWords, cache
from vae_lightning.studies import catalogue


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny(tmp_path_factory.mktemp("config"))


@pytest.fixture(scope="module")
def run(config: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return whole(config, tmp_path_factory.mktemp("whole"))


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """More pictures than fit into a kilobyte of answers."""
    data = Digits(StaticBinarisation())
    data.setup()
    np.save(path := tmp_path_factory.mktemp("rows") / "rows.npy", data.test.x[:200].numpy())
    return path


WRITERS = {
    "encode": ("codes.csv", "--ckpt", "RUN", "--data", "ROWS"),
    "score": ("scores.csv", "--ckpt", "RUN", "--data", "ROWS"),
    "sample": ("samples.png", "--ckpt", "RUN", "--n", "64"),
    "index": ("docs.index", "--ckpt", "HASHING", "--data", "DOCUMENTS"),
    "export": ("model.ckpt", "--ckpt", "RUN"),
    "card": ("card.md", "RUN"),
    "report": ("report.html", "RUN"),
}


def on_a_full_disk(arguments: list[str], room: int = 1024) -> int:
    """The command, where no file can become larger than this, as on a disk that has no more left."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (room, room))
    return left_with(arguments)


@pytest.mark.parametrize("name", WRITERS)
def test_a_full_disk_is_said_in_one_line_and_leaves_nothing(name: str, run: Path, rows: Path, tmp_path: Path) -> None:
    """And with room the same command succeeds."""
    out, *given = WRITERS[name]
    target = tmp_path / "out" / out
    target.parent.mkdir()
    hashing = trained("HashingVAE")
    places = {"RUN": run, "ROWS": rows, "HASHING": hashing.checkpoint, "DOCUMENTS": hashing.data}
    typed = [
        name,
        *(str(places.get(word, word)) for word in given),
        "--to" if name == "export" else "--out",
        str(target),
    ]
    status, told = in_a_child(partial(on_a_full_disk, typed), tmp_path)
    assert status == 1, told
    assert told.splitlines()[-1].startswith("vae-lightning: ")
    assert f"File too large: '{target}'" in told.splitlines()[-1]
    assert "Traceback" not in told
    assert list(target.parent.iterdir()) == []
    status, told = in_a_child(partial(left_with, typed), tmp_path)
    assert status == 0, told
    assert target.stat().st_size > 1024


def test_a_training_whose_disk_is_full_keeps_its_checkpoint_and_goes_on(
    config: Path, run: Path, tmp_path: Path
) -> None:
    """With the bits of one that always had room."""
    command("fit", "--config", config, "--trainer.max_epochs", "1", "--trainer.logger.save_dir", tmp_path)
    begun = tmp_path / "version_0"
    last = begun / "checkpoints" / "last.ckpt"
    before, on = last.read_bytes(), ["fit", "--ckpt_path", str(begun), "--trainer.max_epochs", "3"]
    status, told = in_a_child(partial(on_a_full_disk, on, room=10_000), tmp_path)
    assert status == 1, told
    assert "Traceback" not in told
    assert "File too large: " in told
    assert last.read_bytes() == before
    assert not list(begun.rglob("*.part"))
    command(*on)
    assert unlike(begun, run) == []


def test_a_training_whose_events_find_no_room_says_where_and_goes_on(config: Path, tmp_path: Path) -> None:
    """TensorBoard's file is larger than a checkpoint here: no point that is before one is missing from it."""
    pictures = "[{class_path: vae_lightning.callbacks.Samples, init_args: {n: 64, every_n_epochs: 1}}]"
    fit = ["fit", "--config", str(config), "--trainer.max_epochs", "5", "--trainer.callbacks", pictures]
    status, told = in_a_child(partial(on_a_full_disk, fit, room=60_000), tmp_path)
    assert status == 1, told
    assert "Traceback" not in told
    last = told.splitlines()[-1]
    assert "File too large" in last
    assert "; go on with: vae-lightning fit " in last
    begun = tmp_path / "runs" / "version_0"
    command(*fit, "--ckpt_path", begun)
    command(*fit, "--trainer.logger.save_dir", tmp_path / "roomy")
    whole = tmp_path / "roomy" / "version_0"
    assert unlike(begun, whole) == []
    assert points(begun) == points(whole)


def points(run: Path) -> dict[str, dict[int, float]]:
    """The figures of a run by step, as TensorBoard shows them."""
    read = events(run)
    return {tag: {point.step: point.value for point in read.Scalars(tag)} for tag in read.Tags()["scalars"]}


def small_study(name: str, miniature: Path) -> dict[str, Any]:
    """A catalogue whose study of this name takes a second."""
    made = SMALL[name](miniature)
    kind = type("Small", (type(made),), {"__init__": lambda self, scale, seed: vars(self).update(vars(made))})
    return {name: kind}


def no_room_for_events(arguments: list[str]) -> int:
    """The command, where nothing can be written for TensorBoard."""
    full = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    with patch.object(LocalFileSystem, "_write", side_effect=full):
        return left_with(arguments)


STUDIES: dict[str, tuple[str, Callable[[list[str]], int], str]] = {
    "pictures": ("tradeoff", partial(on_a_full_disk, room=9_000), "File too large: 'out/tradeoff.png'"),
    "events": ("tradeoff", no_room_for_events, "No space left on device"),
    "checkpoints": ("newsgroups", partial(on_a_full_disk, room=9_000), "File too large: 'out/cells/3-bits/"),
}


@pytest.mark.parametrize("what", STUDIES)
def test_a_study_whose_disk_is_full_says_so_and_goes_on(
    what: str, miniature: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the rows of one that always had room."""
    name, limited, said = STUDIES[what]
    monkeypatch.setattr(catalogue, "STUDIES", small_study(name, miniature))
    typed = ["reproduce", name, "--scale", "quick", "--out", "out"]
    status, told = in_a_child(partial(limited, typed), tmp_path)
    assert status == 1, told
    assert said in told.splitlines()[-1]
    assert "Traceback" not in told
    assert not [path for path in (tmp_path / "out").rglob("*") if path.suffix == ".part"]
    status, told = in_a_child(partial(left_with, typed), tmp_path)
    assert status == 0, told
    SMALL[name](miniature).reproduce(tmp_path / "whole")
    assert (tmp_path / "out" / "results.json").read_text() == (tmp_path / "whole" / "results.json").read_text()


def test_caches_without_room_leave_nothing_and_data_is_read_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of texts, and of images, one of which is named as damaged."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(cache, "SETTLED", -60.0)
    (table := tmp_path / "long.jsonl").write_text("\n".join(f'{{"text": "word{n}"}}' for n in range(1_000)))
    faces = write_faces(tmp_path / "faces")
    next(faces.rglob("*.jpg")).write_bytes(b"no image")

    def read(room: int) -> int:
        resource.setrlimit(resource.RLIMIT_FSIZE, (room, room))
        corpus = cache.cached_texts(table, JSONLines(), UnicodeWords())
        data = CelebA(faces, size=8, val_size=1, test_size=1, skip_damaged=True)
        data.setup()
        print(len(corpus), float(data.train.x[:].float().sum()))
        return 0

    ends = []
    for room, files in ((1_000, 0), (1_000_000, 3)):  # texts, images, and the list of the one that is left out
        status, told = in_a_child(partial(read, room), tmp_path)
        assert status == 0, told
        ends.append(told.splitlines()[-1])
        assert len([path for path in (tmp_path / "cache").rglob("*") if path.is_file()]) == files
    assert ends[0] == ends[1]
