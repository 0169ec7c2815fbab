"""Stacked: the data modules of an ensemble's members -> batches with the member's axis in front."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import torch
from lightning.pytorch import LightningDataModule
from torch import Tensor

from vae_lightning.batches import moved
from vae_lightning.data.base import InMemoryDataModule
from vae_lightning.data.loaders import Batch, EvaluationLoader, TrainingLoader
from vae_lightning.data.orders import TrainingOrder
from vae_lightning.trust import FromCheckpoint


@runtime_checkable
class SeededMembers(Protocol):
    """A model of members that have seeds of their own, as `models.Ensemble`."""

    seeds: Sequence[int]


class Stacked(FromCheckpoint, LightningDataModule):
    """Data for `models.Ensemble`: member i sees the batches that the i-th data module would give it alone.

    A batch is (x, y) with x (M, B, *X) and y (M, B). Members may share a data module. The order of member i's
    minibatches has the seed of the ensemble's member i; `FullBatch` modules have no order, and a step moves no data.
    ValueError without members, for times < 1, and for splits of unequal sizes.

    Args:
        members: a data module for each member, in the order of the members.
        times: how many members in a row each data module is for: the restarts on its data.

    Examples:
        >>> from vae_lightning.data import FullBatch, Stacked, Synthetic
        >>> from vae_lightning.data.processes import LinearJTEx
        >>> data = Stacked([FullBatch(Synthetic(LinearJTEx(), (500, 100, 100), seed)) for seed in range(3)])
        >>> data.setup()
        >>> x, y = next(iter(data.train_dataloader()))
        >>> x.shape  # members, observations, event
        torch.Size([3, 500, 2])
    """

    def __init__(self, members: Sequence[InMemoryDataModule], times: int = 1) -> None:
        super().__init__()
        if not members:
            raise ValueError("Stacked needs a data module for each member, got none")
        if times < 1:
            raise ValueError(f"times is how many members share each data module, at least 1; got {times}")
        self.members = [data for data in members for _ in range(times)]

    def setup(self, stage: str | None = None) -> None:
        """Load every member's data, once."""
        begins = stage == "fit" and self.trainer is not None and not self.trainer.global_step
        for data in {id(data): data for data in self.members}.values():
            if begins:
                data.forget_seed()
            data.setup(stage)
        for name in ("train", "val", "test"):
            sizes = sorted({len(data.split(name)) for data in self.members})
            if len(sizes) > 1:
                raise ValueError(f"members must have equally many observations, their {name} splits have {sizes}")

    def train_dataloader(self) -> StackedTrainingLoader:
        """The members' training batches, side by side."""
        loaders = [data.train_dataloader() for data in self.members]
        model = None if self.trainer is None else self.trainer.lightning_module
        if isinstance(model, SeededMembers):
            for loader, seed in zip(loaders, model.seeds, strict=True):
                loader.sampler.seed = seed
        return StackedTrainingLoader(loaders)

    def val_dataloader(self) -> StackedLoader:
        """The validation splits, side by side."""
        return StackedLoader([data.val_dataloader() for data in self.members])

    def test_dataloader(self) -> StackedLoader:
        """The test splits, side by side."""
        return StackedLoader([data.test_dataloader() for data in self.members])

    def state_dict(self) -> dict[str, Any]:
        """What each member's data module keeps, as its scaling."""
        kept = {id(data): data.state_dict() for data in self.members}
        return {"members": [kept[id(data)] for data in self.members]}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Let each go on with what it kept; ValueError where they are for other members, or have other columns."""
        if not (kept := state_dict.get("members")):
            return  # checkpoints of before have none
        if len(kept) != len(self.members):
            raise ValueError(f"the checkpoint's data are for {len(kept)} members, and these for {len(self.members)}")
        for data, its_own in dict(zip(self.members, kept, strict=True)).items():
            data.load_state_dict(its_own)

    def transfer_batch_to_device(self, batch: Batch, device: torch.device, dataloader_idx: int) -> Batch:
        """Both halves of the batch."""
        return moved(batch, device)


class StackedLoader:
    """The batches of several loaders, stacked; the same tensor again where all of them hand out the same again."""

    def __init__(self, loaders: Sequence[TrainingLoader] | Sequence[EvaluationLoader]) -> None:
        self.loaders = loaders

    def __len__(self) -> int:
        return len(self.loaders[0])

    def __iter__(self) -> Iterator[Batch]:
        last: tuple[Batch, ...] = ()
        stacked: Batch
        for batches in zip(*self.loaders, strict=True):
            if not last or any(new is not old for new, old in zip(batches, last, strict=True)):
                last, stacked = batches, _stack(batches)
            yield stacked


class StackedTrainingLoader(StackedLoader):
    """Stacked batches of training, resumable in mid-epoch as each of the loaders is."""

    def __init__(self, loaders: Sequence[TrainingLoader]) -> None:
        super().__init__(loaders)
        self.training_loaders = loaders
        self.sampler = StackedOrder([loader.sampler for loader in loaders])

    def state_dict(self) -> dict[str, Any]:
        """The state of each loader."""
        return {"loaders": [loader.state_dict() for loader in self.training_loaders]}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue where this state was taken."""
        for loader, its_state in zip(self.training_loaders, state["loaders"], strict=True):
            loader.load_state_dict(its_state)


@dataclass(frozen=True)
class StackedOrder:
    """The orders of several loaders, told the epoch together."""

    orders: Sequence[TrainingOrder]

    def set_epoch(self, epoch: int) -> None:
        """Called by Lightning when an epoch starts."""
        for order in self.orders:
            order.set_epoch(epoch)


def _stack(batches: Sequence[Batch]) -> Batch:
    xs, ys = zip(*batches, strict=True)
    if not all(isinstance(x, Tensor) for x in xs):
        raise TypeError(f"members' observations must be tensors to be stacked, got {type(xs[0]).__name__}")
    return torch.stack(xs), torch.stack(ys)
