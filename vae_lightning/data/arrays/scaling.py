"""Scaling: training rows -> the mean and the standard deviation of each entry, of those that are not missing."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Bool, Float, Float64
from torch import Tensor


def which_columns(standardise: bool | Sequence[str], names: Sequence[str]) -> Bool[Tensor, " columns"] | None:
    """The columns to be standardised, None for all; ValueError for a name that no column has."""
    if isinstance(standardise, bool):
        return None
    if unknown := [name for name in standardise if name not in names]:
        raise ValueError(f"standardise names a column {unknown[0]!r}; there are only {', '.join(names)}")
    return torch.tensor([name in standardise for name in names])


def scaling_of(
    rows: Float64[Tensor, "n *X"], names: Sequence[str], chosen: Bool[Tensor, " columns"] | None
) -> tuple[Float[Tensor, "*X"], Float[Tensor, "*X"]]:
    """Mean and deviation, 1 where an entry is always the same, and 0 and 1 for entries that are not chosen.

    ValueError names a column of which no training row has a value.
    """
    if rows.isnan().any():
        mean = rows.nanmean(0)
        scale = (rows - mean).square().nanmean(0).sqrt()
    else:
        mean, scale = rows.mean(0), rows.std(0, correction=0)
    if mean.isnan().any():
        empty = names[int(mean.isnan().flatten().int().argmax())]
        raise ValueError(f"no training row has a value in column {empty}: leave that column out, by data.columns")
    scale = torch.where(scale > 0, scale, 1)
    if chosen is not None:
        chosen = chosen.reshape(mean.shape)
        mean, scale = torch.where(chosen, mean, 0.0), torch.where(chosen, scale, 1.0)
    return mean.float(), scale.float()
