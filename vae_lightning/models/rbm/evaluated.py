"""Evaluated: what an RBM finds of a batch."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from vae_lightning.counts import Counts


@dataclass(frozen=True, eq=False)
class Evaluated:
    """A batch x (B, *X), F(x) and -log p(x | h) for an h drawn from p(h | x), (B,) in nats."""

    x: Tensor | Counts
    free_energy: Tensor
    reconstruction: Tensor
