"""FullBatch: data that fit in one step -> epochs of many steps, each on the whole training split."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import repeat
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Int64
from torch import Tensor

from vae_lightning.construction.arguments import check_kinds
from vae_lightning.data.base import InMemoryDataModule
from vae_lightning.data.derived import DerivedDataModule
from vae_lightning.data.loaders import Batch, Observations, TrainingLoader, View
from vae_lightning.data.orders import TrainingOrder


@runtime_checkable
class SaysWhetherItDraws(View, Protocol):
    """A view that says whether it sees others in each `draw`; one that does not say may do so."""

    @property
    def draws(self) -> bool:
        """Whether it does."""


class FullBatch(DerivedDataModule):
    """The splits of another data module, of which every training batch is the whole training split, in its own order.

    An epoch is `steps` such batches: the Trainer's work around an epoch costs more than a step of a small model.
    Evaluation is the other module's. ValueError for steps < 1, several processes, or data that differ in each epoch.

    Args:
        data: whose splits.
        steps: training steps in an epoch.

    Examples:
        >>> from vae_lightning.data import FullBatch, Synthetic
        >>> from vae_lightning.data.processes import LinearJTEx
        >>> data = FullBatch(Synthetic(LinearJTEx(), sizes=(500, 100, 100)), steps=10)
        >>> data.setup()
        >>> [len(y) for x, y in data.train_dataloader()]
        [500, 500, 500, 500, 500, 500, 500, 500, 500, 500]
    """

    def __init__(self, data: InMemoryDataModule, steps: int = 100) -> None:
        check_kinds(FullBatch, locals())
        super().__init__(data)
        if steps < 1:
            raise ValueError(f"FullBatch needs steps >= 1 in an epoch, got {steps}")
        self.steps = steps

    def load(self) -> tuple[Observations, Observations, Observations]:
        """The other module's splits."""
        self.data.setup()
        return self.data.train, self.data.val, self.data.test

    def train_dataloader(self) -> TrainingLoader:
        """The training split, `steps` times."""
        processes = self._process()[1]
        if processes > 1:
            raise ValueError(f"a full batch is one process's work, got {processes}: use devices: 1, or batches")
        view = self.train.view
        if view is not None and not (isinstance(view, SaysWhetherItDraws) and not view.draws):
            raise ValueError("FullBatch needs data that stay the same; these are drawn anew in each epoch")
        return TrainingLoader(Whole((self.train.x, self.train.y)), RepeatedOrder(len(self.train), self.steps))


@dataclass(frozen=True)
class Whole:
    """A split that is one batch: the same tensors, never copied."""

    same: Batch

    def batch(self, rows: Int64[Tensor, " B"], draw: int | None = None) -> Batch:
        """(x, y) of all observations."""
        return self.same


class RepeatedOrder(TrainingOrder):
    """All rows, in the order of the data, in each of an epoch's `steps` batches."""

    def __init__(self, num: int, steps: int) -> None:
        check_kinds(RepeatedOrder, locals())
        super().__init__(num, batch_size=max(num, 1))
        self.steps = steps

    def __len__(self) -> int:
        return self.steps

    def __iter__(self) -> Iterator[Tensor]:
        return repeat(torch.arange(self.num), self.steps)
