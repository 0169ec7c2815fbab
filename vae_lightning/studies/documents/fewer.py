"""Fewer: the splits of another data module -> the same, with some of the training observations only."""

from __future__ import annotations

import torch
from torch.distributions import LogNormal

from vae_lightning.counts import Counts
from vae_lightning.data.base import InMemoryDataModule
from vae_lightning.data.derived import DerivedDataModule
from vae_lightning.data.loaders import Observations
from vae_lightning.data.texts.base import fit_lengths
from vae_lightning.randomness import derive_seed


class Fewer(DerivedDataModule):
    """The first n training observations, in an order that is a function of `seed`; validation and test stay.

    A larger n contains all of a smaller one. n = None is all of them. ValueError for fewer than one, or more than there
    are.
    """

    def __init__(self, data: InMemoryDataModule, n: int | None, seed: int) -> None:
        super().__init__(data)
        self.n, self.order_seed = n, seed

    def load(self) -> tuple[Observations, Observations, Observations]:
        """The other module's splits, less most of the first."""
        self.data.setup()
        train, val, test = self.data.train, self.data.val, self.data.test
        n = len(train) if self.n is None else self.n
        if not 1 <= n <= len(train):
            raise ValueError(f"Fewer takes 1 to all {len(train)} training observations, got n={n}")
        generator = torch.Generator().manual_seed(derive_seed(self.order_seed, "fewer"))
        rows = torch.randperm(len(train), generator=generator)[:n].sort().values
        return train.select(rows), val, test

    @property
    def length_distribution(self) -> LogNormal:
        """The log-normal of greatest likelihood for the lengths of these training documents."""
        assert isinstance(self.train.x, Counts), "only documents have lengths"
        return fit_lengths(self.train.x.total)
