"""FullBatch: data that fit in one step -> epochs of many steps, each on the whole training split."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from vae_lightning.arguments import check_kinds
from vae_lightning.data.base import InMemoryDataModule
from vae_lightning.data.derived import DerivedDataModule
from vae_lightning.data.loaders import Batch, Observations


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

    def train_dataloader(self) -> FullBatchLoader:  # type: ignore[override]
        """The training split, `steps` times."""
        processes = self._process()[1]
        if processes > 1:
            raise ValueError(f"a full batch is one process's work, got {processes}: use devices: 1, or batches")
        if self.train.view is not None:
            raise ValueError("FullBatch needs data that stay the same; these are drawn anew in each epoch")
        return FullBatchLoader(self.train, self.steps)


class FullBatchLoader:
    """The same batch, `steps` times an epoch, resumable in mid-epoch as a `TrainingLoader` is."""

    def __init__(self, data: Observations, steps: int) -> None:
        check_kinds(FullBatchLoader, locals())
        self.batch: Batch = (data.x, data.y)
        self.steps, self.epoch = steps, 0
        self.sampler = self  # Lightning tells the epoch to a loader's sampler
        self._position = {"epoch": 0, "batches": 0}
        self._resumed: dict[str, int] | None = None

    def set_epoch(self, epoch: int) -> None:
        """Called by Lightning when an epoch starts."""
        self.epoch = epoch

    def __len__(self) -> int:
        return self.steps

    def __iter__(self) -> Iterator[Batch]:
        # a generator: Lightning makes the iterator before it sets the epoch, so nothing may be read before `next`
        epoch, resumed, self._resumed = self.epoch, self._resumed, None
        done = resumed["batches"] if resumed is not None and resumed["epoch"] == epoch else 0
        for number in range(done, self.steps):
            self._position = {"epoch": epoch, "batches": number + 1}
            yield self.batch

    def state_dict(self) -> dict[str, Any]:
        """The epoch, and how many of its batches were handed out."""
        return dict(self._position)

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue where this state was taken."""
        self._resumed, self._position = dict(state), dict(state)
