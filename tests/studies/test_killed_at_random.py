"""Every study but celeba, whose test has its own, killed at random moments: it goes on, and ends with the same rows.

`make soak` sets RANDOM_KILLS, for twenty kills of each; the suite kills one with cells, and one without, once.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from unittest.mock import patch

import lightning.pytorch as pl
import pytest
from support.killed import always_ends_alike, end_of, killed
from support.small_studies import SMALL, few_steps

from vae_lightning.studies.catalogue import STUDIES

KILLS = int(os.environ.get("RANDOM_KILLS", "1"))
KILLED = tuple(SMALL) if "RANDOM_KILLS" in os.environ else ("newsgroups", "tradeoff")


@pytest.fixture(autouse=True)
def of_few_steps() -> Iterator[None]:
    """The mixture."""
    with few_steps():
        yield


def test_every_study_is_here_or_has_a_test_of_its_own() -> None:
    assert {*SMALL, "celeba"} == set(STUDIES)


@pytest.mark.parametrize("name", KILLED)
def test_killed_at_random_moments_it_ends_with_the_same_rows(name: str, miniature: Path, tmp_path: Path) -> None:
    """And pictures; what a cell has finished is not touched again."""
    study, folder = SMALL[name](miniature), tmp_path / name

    def work(patience: float | None) -> int:
        before = finished(folder)
        status = end_of(partial(study.reproduce, folder), patience)
        assert finished(folder).items() >= before.items()
        return status

    wholes = always_ends_alike(work, folder, left, KILLS)
    print(f"{name}: {KILLS} kills at random moments, {wholes} whole studies, all with the same rows and pictures")


@pytest.mark.parametrize("name", ["documents", "newsgroups", "priors"])
def test_a_training_that_is_killed_goes_on_and_is_not_begun_anew(name: str, miniature: Path, tmp_path: Path) -> None:
    """Killed as the third file of the study was being written: a checkpoint of its first training."""
    study = SMALL[name](miniature)
    study.reproduce(tmp_path / "whole")
    assert end_of(partial(killed, study, tmp_path / "killed", 3)) == -signal.SIGKILL
    (last,) = (tmp_path / "killed").rglob("last.ckpt")
    with patch.object(pl.Trainer, "fit", autospec=True, side_effect=pl.Trainer.fit) as fit:
        study.reproduce(tmp_path / "killed")
    assert fit.call_args_list[0].kwargs["ckpt_path"] == last
    assert left(tmp_path / "killed") == left(tmp_path / "whole")


def finished(folder: Path) -> dict[str, tuple[int, int]]:
    """What says when each figures.json was written."""
    found = {str(path): path.stat() for path in folder.rglob("figures.json")}
    return {name: (stat.st_ino, stat.st_mtime_ns) for name, stat in found.items()}


def left(folder: Path) -> dict[str, bytes]:
    """The rows and the pictures."""
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.suffix in (".json", ".png")}
