"""Protocols: a data module of which little is known -> what models and callbacks may ask of it.

Those of `vae_lightning.data` are `InMemory`. A data module of your own needs none of these: what it does not have is
not asked of it, or refused in words that say what is missing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Literal, Protocol, runtime_checkable

from torch import Tensor
from torch.distributions import LogNormal

from vae_lightning.counts import Counts
from vae_lightning.data.loaders import TrainingLoader, View
from vae_lightning.data.mapped import Mapped
from vae_lightning.data.preparation import Preparation
from vae_lightning.nn import TrainingData

if TYPE_CHECKING:
    import lightning.pytorch as pl

SplitName = Literal["train", "val", "test"]
Predicted = SplitName | Literal["all"]
"""What predictions are made for: a split, or all observations, of which then none need be set apart."""


@runtime_checkable
class Split(Protocol):
    """Observations in memory: x as it is stored, or as a `view` shows it in a batch of some rows."""

    @property
    def stored(self) -> Tensor | Counts | Mapped:
        """What x is made of."""

    @property
    def y(self) -> Tensor:
        """Labels, (N,)."""

    @property
    def view(self) -> object | None:
        """How what is stored becomes x; None where it is x."""

    @property
    def x(self) -> Tensor | Counts:
        """All of x, as evaluation sees it."""

    def __len__(self) -> int: ...

    def batch(self, rows: Tensor) -> tuple[Tensor | Counts, Tensor]:
        """(x, y) of these rows."""


@runtime_checkable
class TrainingSplit(Split, TrainingData, Protocol):
    """The training split, which also tells its shape and its limits to what starts from it."""


@runtime_checkable
class InMemory(Protocol):
    """Has its splits in memory once it is set up."""

    def setup(self, stage: str) -> None:
        """Read them, once."""

    def split(self, name: SplitName) -> Split:
        """One of them."""


@runtime_checkable
class NamesAttributes(Protocol):
    """Says what the columns of its labels y (N, L) are, once it is set up."""

    attribute_names: list[str]


@runtime_checkable
class HasTraining(Protocol):
    """Has the training split as `train`."""

    @property
    def train(self) -> TrainingSplit:
        """The training split."""


@runtime_checkable
class HasValidation(Protocol):
    """Has the validation split as `val`."""

    @property
    def val(self) -> Split:
        """The validation split."""


@runtime_checkable
class HasShape(Protocol):
    """Knows the shape of an observation, perhaps before it reads any."""

    @property
    def observed_shape(self) -> Sequence[int] | None:
        """(*X); None while it is not known."""


@runtime_checkable
class HasVocabulary(Protocol):
    """Knows how many words its documents are of."""

    @property
    def num_words(self) -> int | None:
        """The size of the vocabulary; None if observations are no documents."""


@runtime_checkable
class HasWords(Protocol):
    """Knows the words that its documents are of."""

    @property
    def words(self) -> Sequence[str]:
        """Word k of a document is words[k]."""


@runtime_checkable
class HasLengths(HasTraining, Protocol):
    """Knows the law of its training documents' lengths."""

    @property
    def length_distribution(self) -> LogNormal:
        """The law of the number of words of a training document."""


@runtime_checkable
class EvaluatesInOrder(InMemory, Protocol):
    """Gives this process's batches of any split, in the order of the data."""

    @property
    def hparams(self) -> Mapping[str, object]:
        """What it was built of."""

    def evaluation_dataloader(self, name: SplitName) -> Iterable[tuple[Tensor | Counts, Tensor]]:
        """The batches of one split."""


@runtime_checkable
class NamesPredicted(Protocol):
    """Knows the ids of the observations that are predicted."""

    def predict_ids(self, batch_idx: int) -> Tensor:
        """The ids of this process's batch of this number."""


@runtime_checkable
class Prepares(Protocol):
    """Knows how other data of its kind become what the model sees."""

    @property
    def preparation(self) -> Preparation | None:
        """None where it is not known yet."""


@runtime_checkable
class Viewed(Protocol):
    """Stores its observations in another form than a model sees."""

    @property
    def view(self) -> View:
        """How what is stored becomes x."""


def datamodule(trainer: pl.Trainer) -> pl.LightningDataModule | None:
    """The data module that a trainer runs on, None if it was given loaders; Lightning's may be of an earlier run."""
    chosen = trainer._data_connector._datahook_selector
    return None if chosen is None else chosen.datamodule


def observed_shape(data: object) -> tuple[int, ...] | None:
    """The shape of an observation, where the data module knows it."""
    shape = data.observed_shape if isinstance(data, HasShape) else None
    return None if shape is None else tuple(shape)


def vocabulary_size(data: object) -> int | None:
    """The number of words, where the data module is of documents."""
    return data.num_words if isinstance(data, HasVocabulary) else None


def view_limits(data: object) -> tuple[float, float]:
    """What is black and what is white, where the data's view says so; else 0 and 1."""
    return data.view.limits if isinstance(data, Viewed) else (0.0, 1.0)


def weight_in_step(trainer: pl.Trainer, batch_idx: int) -> float:
    """What a batch's mean counts among those of all processes, whose gradients are averaged: its share of the step."""
    loader = trainer.train_dataloader
    return loader.sampler.weight(batch_idx) if isinstance(loader, TrainingLoader) else 1.0
