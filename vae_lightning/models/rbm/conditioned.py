"""Conditioned: a family and natural parameters -> what an RBM's samples are drawn from, and its mean."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from vae_lightning.families import ExponentialFamily


@dataclass(frozen=True, eq=False)
class Conditioned:
    """P(v | h) of n codes, drawn by the family's own sampler, as the chains are."""

    family: ExponentialFamily
    eta: Tensor

    @property
    def mean(self) -> Tensor:
        """E[v | h], (n, *X)."""
        return self.family.distribution(self.eta).mean

    def sample(self) -> Tensor:
        """(n, *X)."""
        return self.family.sample(self.eta)
