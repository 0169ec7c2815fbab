"""Every study but celeba, whose test has its own, killed at random moments: it goes on, and ends with the same rows.

`make soak` sets RANDOM_KILLS, for twenty kills of each; the suite kills one with cells, and one without, once.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
from support.killed import always_ends_alike, end_of
from support.models import digits, newsgroups

from vae_lightning.studies.base import Study
from vae_lightning.studies.catalogue import STUDIES
from vae_lightning.studies.documents import DocumentsStudy
from vae_lightning.studies.documents.cell import DocumentsSize
from vae_lightning.studies.documents.domains import Domain, text
from vae_lightning.studies.documents.domains import digits as digits_domain
from vae_lightning.studies.libi import METHODS, WORLDS, LiBIStudy
from vae_lightning.studies.libi.cell import LiBISize
from vae_lightning.studies.libi.methods import Grid, Training
from vae_lightning.studies.mixture import MixtureStudy
from vae_lightning.studies.mixture import training as of_mixture
from vae_lightning.studies.newsgroups import NewsgroupsStudy
from vae_lightning.studies.newsgroups.size import NewsgroupsSize
from vae_lightning.studies.priors import PriorsStudy
from vae_lightning.studies.priors.cell import CELLS, PriorsSize
from vae_lightning.studies.tradeoff import TradeoffStudy
from vae_lightning.studies.tradeoff.study import TradeoffSize

KILLS = int(os.environ.get("RANDOM_KILLS", "1"))
Made = Callable[[Path], Study[Any, Any]]
"""The folder of the miniature archive of 20 Newsgroups to a study."""


def documents(miniature: Path) -> DocumentsStudy:
    """Of three bits, of all data alone."""
    size = DocumentsSize({"text": 7, "digits": 4}, 1, 1, (3,), {"text": (), "digits": ()}, 4, 4, 10, few_bits=3)
    small = Domain("digits", digits, digits_domain().models)
    return DocumentsStudy("quick", 0, size, {"text": text(partial(newsgroups, miniature)), "digits": small})


def libi(miniature: Path) -> LiBIStudy:
    """A world, and two methods."""
    grid = Grid((0.5, 2.0), (1.0,), 1, (1.0,), (0.2,), (0.2,), (1,))
    methods = {name: METHODS[name] for name in ("VAE", "LiBI")}
    size = LiBISize(1, 2, Training(100, False), grid, 20, 5)
    return LiBIStudy("quick", 0, size, {"LinearJTEx": WORLDS["LinearJTEx"]}, methods)


def of_newsgroups(miniature: Path) -> NewsgroupsStudy:
    """A VAE and an RBM of three bits."""
    size = NewsgroupsSize(
        epochs=2, many_epochs=1, rate=0.01, linear_seeds=1, rbm_epochs=2, validations=1, chains=4, ais_steps=10,
        bits=(3,), retrieved=20,
    )  # fmt: skip
    corpus = lambda ranking: newsgroups(miniature, ranking=ranking, batch_size=50)  # noqa: E731
    return NewsgroupsStudy("quick", 0, size, models="e1-RLOO,RBM", corpus=corpus)


SMALL: dict[str, Made] = {
    "documents": documents,
    "libi": libi,
    "mixture": lambda _: MixtureStudy("quick", 0, size=1),
    "newsgroups": of_newsgroups,
    "priors": lambda _: PriorsStudy("quick", 0, PriorsSize(epochs=10, seeds=2, samples=5), CELLS[:1]),
    "tradeoff": lambda _: TradeoffStudy("quick", 0, TradeoffSize((0.0, 1.0), 0)),
}

KILLED = tuple(SMALL) if "RANDOM_KILLS" in os.environ else ("newsgroups", "tradeoff")


@pytest.fixture(autouse=True)
def few_steps() -> Iterator[None]:
    """Of the mixture, four an epoch."""
    size = 4 * of_mixture.BATCH_SIZE
    with patch.multiple(of_mixture, TRAINING_SIZE=size, EPOCH_STEPS=4):
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


def finished(folder: Path) -> dict[str, tuple[int, int]]:
    """What says when each figures.json was written."""
    found = {str(path): path.stat() for path in folder.rglob("figures.json")}
    return {name: (stat.st_ino, stat.st_mtime_ns) for name, stat in found.items()}


def left(folder: Path) -> dict[str, bytes]:
    """The rows and the pictures."""
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.suffix in (".json", ".png")}
