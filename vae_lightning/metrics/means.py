"""MeanWithError: a value of each figure for each observation -> the figures' means with their standard errors."""

from __future__ import annotations

import abc
import math
from collections.abc import Mapping
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torchmetrics import Metric

from vae_lightning.metrics.functional import deviations
from vae_lightning.metrics.functional.active_units import Deviations
from vae_lightning.metrics.functional.importance import Estimate
from vae_lightning.metrics.gather import gather_rows


class MeanWithError(Metric, abc.ABC):
    """Base of metrics that are means over observations: subclasses `add` values and `compute` of `estimates`.

    The count, and each figure's mean and sum of squared deviations, are kept in float64 and merged exactly over batches
    and processes.

    Args:
        names: of the figures.
    """

    is_differentiable = False
    full_state_update = False
    names: tuple[str, ...]
    rows: list[Tensor]

    def __init__(self, names: tuple[str, ...], **kwargs: Any) -> None:
        super().__init__(**{"dist_sync_fn": gather_rows} | kwargs)
        self.names = names
        self.add_state("rows", [], dist_reduce_fx="cat")

    def add(self, figures: Mapping[str, Float[Tensor, " batch"]]) -> None:
        """Add a batch: for every figure a value per observation."""
        values = torch.stack([figures[name].double() for name in self.names], 1)
        if not len(values):
            return  # whose mean is no number
        mean = values.mean(0)
        batch = Deviations(values.new_tensor(len(values)), mean, (values - mean).square().sum(0))
        self.rows = deviations.added(self.rows, batch)

    def merged(self) -> Deviations:
        """Count, means and squared deviations over all observations so far."""
        return deviations.merged(self.rows)

    def estimates(self) -> dict[str, Estimate]:
        """The mean of each figure with its standard error, sd / sqrt(N): NaN for one observation."""
        merged = self.merged()
        spread = (merged.squares / (merged.count - 1)).sqrt() if merged.count > 1 else merged.mean * math.nan
        errors = spread / merged.count.sqrt()
        return {name: Estimate(*pair) for name, *pair in zip(self.names, merged.mean, errors, strict=True)}


def with_errors(estimates: Mapping[str, Estimate]) -> dict[str, Tensor]:
    """Each estimate as two figures: its mean as `name`, its standard error as `name_error`."""
    means = {name: estimate.mean for name, estimate in estimates.items()}
    return means | {f"{name}_error": estimate.standard_error for name, estimate in estimates.items()}
