"""Orders: how many observations there are -> the rows of each batch of this process, a function of (seed, epoch)."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from vae_lightning.randomness import derive_seed


class TrainingOrder:
    """Shuffled batches whose order is a function of (seed, epoch) alone.

    Of W processes with batches of B, step t works on `permutation[t * W * B : (t + 1) * W * B]`, which the processes
    share evenly; so they do in the shorter last step, and all of them make equally many steps. Only a rest of fewer
    than W observations is left out of its epoch. Raises ValueError for fewer than W observations, and for none.
    """

    def __init__(self, num: int, batch_size: int, seed: int = 0, rank: int = 0, world_size: int = 1) -> None:
        if batch_size < 1:
            raise ValueError(f"batch_size must be at least 1, got {batch_size}")
        if not num:
            raise ValueError("there are no training observations: set fewer aside for validation and test")
        if num < world_size:
            raise ValueError(
                f"{num} training observations cannot be shared by {world_size} processes: use fewer devices"
            )
        self.num, self.seed, self.rank, self.world_size = num, seed, rank, world_size
        self.step_size = batch_size * world_size
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Called by Lightning when an epoch starts."""
        self.epoch = epoch

    @property
    def drawn(self) -> int:
        """The epoch whose order, and whose draw of a view, this one has: its own."""
        return self.epoch

    def __len__(self) -> int:
        return self.num // self.step_size + (self.num % self.step_size >= self.world_size)

    def __iter__(self) -> Iterator[Tensor]:
        generator = torch.Generator().manual_seed(derive_seed(self.seed, "order", self.drawn))
        steps = torch.randperm(self.num, generator=generator).split(self.step_size)
        for step in steps[: len(self)]:
            yield step.tensor_split(self.world_size)[self.rank]

    def weight(self, step: int) -> float:
        """n W / N, for n of the step's N observations here: the mean of means over W processes is then that over N.

        It is 1 but in a shorter last step that does not divide.
        """
        if self.world_size == 1:
            return 1.0
        size = min(self.step_size, self.num - step * self.step_size)
        own = size // self.world_size + (self.rank < size % self.world_size)
        return own * self.world_size / size


class SameOrder(TrainingOrder):
    """The first epoch's batches in every epoch, to overfit them."""

    @property
    def drawn(self) -> int:
        """The first epoch."""
        return 0


class EvaluationOrder:
    """Batches in the order of the data: batch b goes to process b mod W; nothing is padded, dropped or shared twice."""

    def __init__(self, num: int, batch_size: int, rank: int = 0, world_size: int = 1) -> None:
        if batch_size < 1:
            raise ValueError(f"eval_batch_size must be at least 1, got {batch_size}")
        self.batches = torch.arange(num).split(batch_size)[rank::world_size] if num else ()

    def __len__(self) -> int:
        return len(self.batches)

    def __iter__(self) -> Iterator[Tensor]:
        return iter(self.batches)

    def __getitem__(self, batch_idx: int) -> Tensor:
        """The rows of this process's batch of this number."""
        return self.batches[batch_idx]
