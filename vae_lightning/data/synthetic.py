"""Synthetic: a process whose truth is known -> three splits drawn from it."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from vae_lightning.construction.arguments import check_kinds
from vae_lightning.construction.hyperparameters import only_plain
from vae_lightning.data.base import InMemoryDataModule
from vae_lightning.data.loaders import Observations
from vae_lightning.data.processes import Process
from vae_lightning.randomness import derive_seed


class Synthetic(InMemoryDataModule):
    """Observations drawn once from a process; a batch is (x, y) with x (B, *E) and y (B,) the row in its split.

    A process has no labels, so y only tells the rows apart. Each split is drawn under a seed of its own, (seed, name):
    more training data changes neither validation nor test.

    Args:
        process: the truth, such as `vae_lightning.data.processes.GaussianMixture`; evaluate models against it.
        sizes: observations for training, validation and test.
        seed: of the data; the order of training has the seed of the run.
        batch_size: observations in a training batch, for each process of the trainer.
        eval_batch_size: observations in a validation, test or prediction batch.

    ValueError unless there are three sizes of at least one observation.

    Examples:
        >>> from vae_lightning.data import Synthetic
        >>> from vae_lightning.data.processes import LinearJTEx
        >>> data = Synthetic(LinearJTEx(), sizes=(500, 100, 100))
        >>> data.setup()
        >>> data.train.x.shape, len(data.val)
        (torch.Size([500, 2]), 100)
    """

    def __init__(
        self,
        process: Process,
        sizes: Sequence[int] = (10_000, 1_000, 1_000),
        seed: int = 0,
        batch_size: int = 256,
        eval_batch_size: int = 1_000,
    ) -> None:
        check_kinds(Synthetic, locals())
        super().__init__(batch_size, eval_batch_size)
        if len(sizes) != 3 or min(sizes) < 1:
            raise ValueError(f"sizes must be three positive numbers, (train, val, test); got {tuple(sizes)}")
        with only_plain(self):
            self.save_hyperparameters(logger=False)
        self.process, self.sizes, self.seed = process, tuple(sizes), seed
        self.observed_shape = tuple(process.event_shape)

    def load(self) -> tuple[Observations, Observations, Observations]:
        """Draw the three splits."""
        train, val, test = map(self._draw, ("train", "val", "test"), self.sizes)
        return train, val, test

    def _draw(self, name: str, size: int) -> Observations:
        x = self.process.sample(size, torch.Generator().manual_seed(derive_seed(self.seed, "synthetic", name)))
        return Observations.numbered(x, torch.arange(size))
