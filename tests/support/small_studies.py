"""The folder of the miniature archive -> every study but celeba, in a second."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any
from unittest.mock import patch

from support.models import digits, newsgroups
from vae_lightning.studies.base import Study
from vae_lightning.studies.documents import DocumentsStudy
from vae_lightning.studies.documents.cell import DocumentsSize
from vae_lightning.studies.documents.domains import Domain, text
from vae_lightning.studies.documents.domains import digits as digits_domain
from vae_lightning.studies.libi import METHODS, WORLDS, LiBIStudy
from vae_lightning.studies.libi.cell import LiBISize
from vae_lightning.studies.libi.methods import Combined, Grid, Training
from vae_lightning.studies.mixture import MixtureStudy
from vae_lightning.studies.mixture import training as of_mixture
from vae_lightning.studies.newsgroups import NewsgroupsStudy
from vae_lightning.studies.newsgroups.size import NewsgroupsSize
from vae_lightning.studies.priors import PriorsStudy
from vae_lightning.studies.priors.cell import CELLS, PriorsSize
from vae_lightning.studies.tradeoff import TradeoffStudy
from vae_lightning.studies.tradeoff.study import TradeoffSize

Made = Callable[[Path], Study[Any, Any]]
"""The folder of the miniature archive of 20 Newsgroups to a study."""


def documents(miniature: Path) -> DocumentsStudy:
    """Of three bits, of all data alone."""
    size = DocumentsSize({"text": 14, "digits": 4}, 1, 1, (3,), {"text": (), "digits": ()}, 4, 4, 10, few_bits=3)
    small = Domain("digits", digits, digits_domain().models)
    return DocumentsStudy("quick", 0, size, {"text": text(partial(newsgroups, miniature)), "digits": small})


def libi(miniature: Path) -> LiBIStudy:
    """A world, and two methods."""
    grid = Grid((0.5, 2.0), (1.0,), 1, (Combined((1.0,), (0.2,), (0.2,), (1,)),))
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


@contextmanager
def few_steps() -> Iterator[None]:
    """Within this block the mixture has four steps an epoch."""
    with patch.multiple(of_mixture, TRAINING_SIZE=4 * of_mixture.BATCH_SIZE, EPOCH_STEPS=4):
        yield
