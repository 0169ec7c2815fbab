"""Preflight: a model's family, its data and its trainer -> one clear line for what cannot go well, before it begins."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import lightning.pytorch as pl
import torch
from lightning.pytorch.utilities import rank_zero_warn
from torch import Tensor

from vae_lightning.batches import Batch, observations
from vae_lightning.counts import Counts
from vae_lightning.data.protocols import InMemory, Split, SplitName
from vae_lightning.families import ExponentialFamily
from vae_lightning.families.support import check_support
from vae_lightning.process import lacks_bfloat16

SPLITS: dict[str, tuple[SplitName, ...]] = {
    "fit": ("train", "val"),
    "validate": ("val",),
    "test": ("test",),
    "predict": (),
}
NAMES = {"train": "training data", "val": "validation data", "test": "test data"}
EXACT = ("32-true", "64-true", "16-mixed", "bf16-mixed")  # those that leave weights and data as they are
_ROWS = 4096  # observations looked at once


def stage_of(trainer: pl.Trainer) -> str:
    """ "fit", "validate", "test" or "predict"."""
    assert trainer.state.fn is not None, "a trainer that runs has a stage"
    return trainer.state.fn.value


@dataclass(frozen=True)
class Preflight:
    """What a model asks of its data: observations of a family, if it has one, in floats of a kind, or of any."""

    family: ExponentialFamily | None
    dtype: torch.dtype | None

    @classmethod
    def of(cls, family: ExponentialFamily | None, weights: Iterable[Tensor], trainer: pl.Trainer) -> Preflight:
        """What a model asks in a trainer: floats of its weights' type, unless the trainer converts both."""
        converts = str(trainer.precision) == "64-true"
        return cls(family, None if converts else next(iter(weights), torch.zeros(())).dtype)

    def check_splits(self, data: object, stage: str) -> None:
        """ValueError unless the splits that the stage reads are such observations, all of what is stored.

        Where a view makes them when a batch is made, the first ones stand for all. Of data that are not in memory
        nothing is known yet.
        """
        if not isinstance(data, InMemory):
            return
        for name in SPLITS[stage]:
            split = data.split(name)
            whole = split.view is None or len(split) <= _ROWS
            self._check(Parts(split), NAMES[name] if whole else f"first of the {NAMES[name]}")

    def check_batch(self, batch: Batch, name: str) -> None:
        """ValueError unless a batch is of such observations; TypeError for what is no batch."""
        self._check([observations(batch)], name)

    def _check(self, parts: Parts | list[Tensor | Counts], name: str) -> None:
        x = next(iter(parts), None)
        if isinstance(x, Tensor) and not (x.is_floating_point() and x.dtype == (self.dtype or x.dtype)):
            wanted = self.dtype or torch.get_default_dtype()
            raise ValueError(f"the {name} are {x.dtype}, but the model computes in {wanted}: convert by x.to({wanted})")
        if self.family is not None:
            check_support(self.family, parts, name)


@dataclass(frozen=True)
class Parts:
    """A split, in pieces to be looked at: all of what is stored, or the first observations of a view."""

    split: Split

    def __iter__(self) -> Iterator[Tensor | Counts]:
        split = self.split
        if split.view is not None:
            yield split.batch(torch.arange(min(len(split), _ROWS)))[0]
        elif isinstance(split.stored, Counts):
            yield split.stored
        else:
            yield from split.stored.split(_ROWS)


def check_precision(trainer: pl.Trainer) -> None:
    """ValueError for a precision that would round weights and data; a word where one is slow."""
    precision = str(trainer.precision)
    if precision not in EXACT:
        raise ValueError(
            f"trainer.precision {precision} would round the weights and the data, and so every figure: use bf16-mixed, "
            "which computes as fast and keeps both in single precision"
        )
    if precision == "bf16-mixed" and trainer.strategy.root_device.type == "cpu" and lacks_bfloat16():
        rank_zero_warn(
            "this processor has no instructions for bfloat16 and imitates them: trainer.precision 32-true is several "
            "times faster here"
        )


def widen(module: pl.LightningModule) -> None:
    """Have 64 bits if the trainer computes in them: Lightning widens a model only after a checkpoint's weights, which
    it would round.
    """
    if module._trainer is not None and str(module.trainer.precision) == "64-true":
        module.double()
