"""What an ensemble's data are: a data module -> each member beside its own; a batch -> the part of each member."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

import lightning.pytorch as pl

from vae_lightning.batches import labels, observations
from vae_lightning.counts import Counts
from vae_lightning.data.protocols import datamodule
from vae_lightning.models.ensemble.stack import StackedBatch
from vae_lightning.models.latent_variable import LatentVariableModule as Member
from vae_lightning.models.preflight import check_precision, stage_of

Data = pl.LightningDataModule | None
"""A member's own data module; None with loaders alone."""


@runtime_checkable
class OfMembers(Protocol):
    """A data module of data modules, one for each member, as `data.Stacked`."""

    members: Sequence[pl.LightningDataModule]

    def setup(self, stage: str) -> None:
        """Read all of them."""


def with_data(members: Sequence[Member], trainer: pl.Trainer) -> list[tuple[Member, Data]]:
    """Each member beside the data module that is its own; ValueError for as many as there are not."""
    data = datamodule(trainer)
    its_data: Sequence[Data] = data.members if isinstance(data, OfMembers) else [None] * len(members)
    if len(its_data) != len(members):
        raise ValueError(f"the data are for {len(its_data)} members, the ensemble has {len(members)}")
    return list(zip(members, its_data, strict=True))


def look(members: Sequence[Member], trainer: pl.Trainer) -> None:
    """Let each member look at its data, as it would alone."""
    check_precision(trainer)
    data = datamodule(trainer)
    if isinstance(data, OfMembers):
        data.setup(stage_of(trainer))
    for each, its_data in with_data(members, trainer):
        each.check_data(its_data)
        each.preflight(trainer).check_splits(its_data, stage_of(trainer))


def look_at_unseen(members: Sequence[Member], trainer: pl.Trainer, batch: StackedBatch) -> None:
    """Let each member look at its part of a batch, where there was nothing to look at before."""
    if not isinstance(datamodule(trainer), OfMembers):
        for each, x in zip(members, batch[0], strict=True):
            each.preflight(trainer).check_batch(x, "rows of a batch")


def stacked(batch: object, num: int) -> StackedBatch:
    """(x, y) of a batch that has a part for each of so many members; y is zeros where there is none."""
    x, y = observations(batch), labels(batch)
    if isinstance(x, Counts) or len(x) != num:
        got = "Counts" if isinstance(x, Counts) else f"shape {tuple(x.shape)}"
        raise ValueError(
            f"a batch has a part for each of the {num} members, (M, B, *X), got {got}: vae_lightning.data.Stacked "
            "gives such batches"
        )
    return x, x.new_zeros(x.shape[:2]) if y is None else y
