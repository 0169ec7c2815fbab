"""Models of documents: a number of bits and the data -> a module, untrained, and how it is trained and judged."""

from __future__ import annotations

import abc
from collections.abc import Mapping, Sequence
from typing import Any

import lightning.pytorch as pl

from vae_lightning.counts import Counts
from vae_lightning.data import Newsgroups
from vae_lightning.data.texts.vocabulary import ByCount, Ranking
from vae_lightning.models.reproducible import ReproducibleModule
from vae_lightning.studies.newsgroups.paper import Place
from vae_lightning.studies.newsgroups.size import NewsgroupsSize
from vae_lightning.studies.provenance import Settings
from vae_lightning.studies.store import Figures


class DocumentModel(abc.ABC):
    """A kind of model of documents, for any number of bits."""

    bits: Sequence[int] | None = None
    """Of which there is one; None is any."""

    @property
    @abc.abstractmethod
    def label(self) -> str:
        """What `--models` calls it, and those that differ in the decoder's depth alone."""

    @property
    @abc.abstractmethod
    def name(self) -> str:
        """What a row calls it."""

    @property
    @abc.abstractmethod
    def path(self) -> str:
        """Its folder, below that of its number of bits."""

    @property
    @abc.abstractmethod
    def linear(self) -> bool:
        """Whether it has the seeds of linear decoders."""

    @property
    def ranking(self) -> Ranking:
        """Which words there are: the most frequent."""
        return ByCount()

    @abc.abstractmethod
    def build(self, bits: int, data: Newsgroups, size: NewsgroupsSize) -> ReproducibleModule:
        """The module, untrained; `data` are set up."""

    @abc.abstractmethod
    def epochs(self, size: NewsgroupsSize) -> int:
        """Of a training."""

    @abc.abstractmethod
    def options(self, size: NewsgroupsSize) -> Mapping[str, Any]:
        """Of the Trainer that trains it."""

    @abc.abstractmethod
    def bounds(self, size: NewsgroupsSize) -> list[pl.Callback]:
        """What finds `nelbo` of a split, where the module does not."""

    @abc.abstractmethod
    def stops(self, size: NewsgroupsSize) -> list[pl.Callback]:
        """What may end a training by `val/nelbo`."""

    @abc.abstractmethod
    def judges(self) -> list[pl.Callback]:
        """What finds further figures of the test split."""

    @abc.abstractmethod
    def deviance(self, figures: Figures, x: Counts) -> float:
        """The NELBO relative to the saturated multinomial, of figures of these documents."""

    @abc.abstractmethod
    def settings(self, bits: int, size: NewsgroupsSize) -> Settings:
        """What its training depends on, beside the seed."""

    def place(self, bits: int) -> Place | None:
        """Where the paper's table has it; by default nowhere."""
        return None
