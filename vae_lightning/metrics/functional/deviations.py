"""Deviations as a Metric's state: one float64 row of count, means and squared deviations for each process."""

from __future__ import annotations

import torch
from jaxtyping import Float64
from torch import Tensor
from torchmetrics.utilities import dim_zero_cat

from vae_lightning.metrics.functional.active_units import Deviations, merge_all


def added(rows: list[Tensor], batch: Deviations) -> list[Float64[Tensor, "1 row"]]:
    """The state `rows` with a batch merged in: again a single row, of 1 + 2 d numbers."""
    seen = merge_all([*_unpacked(rows), batch])
    return [torch.cat((seen.count[None], seen.mean, seen.squares))[None]]


def merged(rows: list[Tensor] | Tensor) -> Deviations:
    """Of all observations; `rows` is the state of one process, or what was gathered from all of them."""
    return merge_all(_unpacked(rows))


def _unpacked(rows: list[Tensor] | Tensor) -> list[Deviations]:
    return [Deviations(row[0], *row[1:].chunk(2)) for row in (dim_zero_cat(rows) if len(rows) else ())]
