"""Averages: per-observation figures -> their means over a split, summed in float64 over batches and processes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from jaxtyping import Float
from torch import Tensor
from torchmetrics import Metric


class Averages(Metric):
    """The mean of each named figure over all observations: sums and a count, merged exactly over processes."""

    full_state_update = False
    sums: Tensor
    count: Tensor

    def __init__(self, names: Sequence[str]) -> None:
        super().__init__()
        self.names = tuple(names)
        self.add_state("sums", torch.zeros(len(self.names), dtype=torch.float64), dist_reduce_fx="sum")
        self.add_state("count", torch.zeros((), dtype=torch.float64), dist_reduce_fx="sum")

    def update(self, figures: Mapping[str, Float[Tensor, " batch"]]) -> None:
        """Add one value per observation of every figure."""
        values = torch.stack([figures[name].to(torch.float64) for name in self.names])
        self.sums += values.sum(1)
        self.count += values.shape[1]

    def compute(self) -> dict[str, Tensor]:
        """The mean of each figure."""
        return dict(zip(self.names, self.sums / self.count, strict=True))
