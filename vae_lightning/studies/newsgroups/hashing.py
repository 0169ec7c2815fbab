"""The VAEs of Table 2: three encoders and three depths of the decoder, and those beside them that explain a figure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import lightning.pytorch as pl
import torch
from lightning.pytorch.callbacks import EarlyStopping

from vae_lightning.callbacks import BitUse
from vae_lightning.counts import Counts
from vae_lightning.data import Newsgroups
from vae_lightning.data.texts.vocabulary import ByCount, ByDocuments, Ranking
from vae_lightning.estimators import ARM, DisARM, GradientEstimator, LeaveOneOut
from vae_lightning.models import HashingVAE
from vae_lightning.nn import BagOfWordsMLP, ScaledFrequencies, WordCounts, WordFrequencies, WordLogits
from vae_lightning.nn.bag_of_words import Features
from vae_lightning.objectives import ELBO, FirstThen, Objective
from vae_lightning.studies.newsgroups.models import DocumentModel
from vae_lightning.studies.newsgroups.paper import DEPTHS, Place
from vae_lightning.studies.newsgroups.size import NewsgroupsSize
from vae_lightning.studies.provenance import Settings
from vae_lightning.studies.store import Figures

HIDDEN = 512  # units of a layer
MANY = 10  # pairs of samples, of the last epochs
RATES = {8: 0.005, 16: 0.004, 32: 0.003, 64: 0.002}
"""Adam's, of linear encoders and decoders by bits, as the shipped configurations have it; other bits have the last."""
DEEP_ENCODER, DEEP_DECODER = 0.003, 0.001


@dataclass(frozen=True)
class Encoder:
    """What an encoder sees of a document, and its hidden layers."""

    name: str
    features: type[Features]
    hidden: tuple[int, ...] = ()


E1 = Encoder("e1", WordCounts)
E2 = Encoder("e2", WordFrequencies, (HIDDEN, HIDDEN))
E3 = Encoder("e3", WordFrequencies)
SCALED = Encoder("e3", ScaledFrequencies)


def rloo(pairs: int) -> LeaveOneOut:
    """RLOO that evaluates the decoder as often as so many pairs do."""
    return LeaveOneOut(2 * pairs)


@dataclass(frozen=True)
class Hashing(DocumentModel):
    """A Bernoulli VAE. `beside`, if given, says in what it is not that of the table, which is trained by DisARM."""

    encoder: Encoder
    depth: int
    beside: str = ""
    estimator: Callable[[int], GradientEstimator] = DisARM  # of so many pairs
    ranked: Callable[[], Ranking] = ByCount
    bits: Sequence[int] | None = None

    @property
    def label(self) -> str:
        """Such as "e1", or "e1-ARM"."""
        return "-".join([self.encoder.name, *self.beside.split()])

    @property
    def name(self) -> str:
        """Such as "depth 0, e1", or "depth 0, e1, ARM"."""
        return ", ".join([f"depth {self.depth}", self.encoder.name, *([self.beside] if self.beside else [])])

    @property
    def path(self) -> str:
        """Such as "depth-0/e1"."""
        return f"depth-{self.depth}/{self.label}"

    @property
    def linear(self) -> bool:
        """Without a hidden layer."""
        return self.depth == 0

    @property
    def ranking(self) -> Ranking:
        """Which words there are."""
        return self.ranked()

    def place(self, bits: int) -> Place | None:
        """All have one, but those beside."""
        return None if self.beside else (bits, self.depth, self.encoder.name)

    def build(self, bits: int, data: Newsgroups, size: NewsgroupsSize) -> HashingVAE:
        """The module."""
        encoder = partial(BagOfWordsMLP, features=self.encoder.features, hidden=self.encoder.hidden)
        decoder = partial(WordLogits, hidden=(HIDDEN,) * self.depth)
        adam = partial(torch.optim.Adam, lr=self.rate(bits, size), fused=True)
        objective = self._objective(size, len(data.train_dataloader()))
        return HashingVAE(bits, data.num_words, encoder, decoder, objective, adam, evaluation_samples=size.samples)

    def epochs(self, size: NewsgroupsSize) -> int:
        """By few samples, and by many."""
        return size.epochs + size.many_epochs

    def options(self, size: NewsgroupsSize) -> Mapping[str, Any]:
        """As they are."""
        return {}

    def bounds(self, size: NewsgroupsSize) -> list[pl.Callback]:
        """Nothing: it does so itself."""
        return []

    def stops(self, size: NewsgroupsSize) -> list[pl.Callback]:
        """What ends a training that does not become better."""
        patience = self.patience(size)
        return [] if patience is None else [EarlyStopping("val/nelbo", patience=patience)]

    def judges(self) -> list[pl.Callback]:
        """The use that it makes of its bits."""
        return [BitUse()]

    def deviance(self, figures: Figures, x: Counts) -> float:
        """Its own."""
        return figures["deviance"]

    def settings(self, bits: int, size: NewsgroupsSize) -> Settings:
        """How long it is trained, and how fast, and what validation takes a mean over."""
        told: Settings = {"epochs": size.epochs, "rate": self.rate(bits, size), "samples": size.samples}
        patience = self.patience(size)
        told = told if patience is None else {**told, "patience": patience}
        return {**told, "epochs of many samples": size.many_epochs} if size.many_epochs else told

    def patience(self, size: NewsgroupsSize) -> int | None:
        """Of encoders of counts. One of frequencies may see no better validation for long before it begins to learn."""
        return None if self.encoder.features is WordFrequencies else size.patience

    def rate(self, bits: int, size: NewsgroupsSize) -> float:
        """Adam's."""
        if size.rate is not None:
            return size.rate
        if self.depth:
            return DEEP_DECODER
        return DEEP_ENCODER if self.encoder.hidden else RATES.get(bits, min(RATES.values()))

    def _objective(self, size: NewsgroupsSize, batches: int) -> Objective:
        few = ELBO(self.estimator(1))
        if not size.many_epochs:
            return few
        return FirstThen(few, ELBO(self.estimator(MANY)), size.epochs * batches)


TABLE = tuple(Hashing(encoder, depth) for depth in DEPTHS for encoder in (E1, E2, E3))
BESIDE = (
    Hashing(E1, 0, "ARM", ARM),
    Hashing(E1, 0, "RLOO", rloo),
    Hashing(SCALED, 0, "scaled"),
    Hashing(E1, 0, "by documents", ranked=ByDocuments, bits=(64,)),
)
"""At equal cost; e3 in e1's units; and the words that are in most documents, as the best reproduction has them."""
