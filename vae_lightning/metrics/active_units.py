"""ActiveUnits: batches of posterior means -> how many latent units vary over the data, on any number of processes."""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torchmetrics import Metric
from torchmetrics.utilities import dim_zero_cat

from vae_lightning.metrics.functional.active_units import Deviations, deviations_of, merge_all, unit_variances
from vae_lightning.metrics.gather import gather_rows


class ActiveUnits(Metric):
    """The number of active units and every unit's variance, as `functional.active_units` defines them.

    Kept is one float64 row of count, means and squared deviations, merged exactly over batches and processes: a mean
    far from zero costs no digits, which sums of squares would.
    """

    is_differentiable = False
    higher_is_better = True
    full_state_update = False
    rows: list[Tensor]

    def __init__(self, threshold: float = 0.01, **kwargs: Any) -> None:
        super().__init__(**{"dist_sync_fn": gather_rows} | kwargs)
        if threshold < 0:
            raise ValueError(f"ActiveUnits needs a threshold >= 0 on a variance, got {threshold}")
        self.threshold = threshold
        self.add_state("rows", [], dist_reduce_fx="cat")

    def update(self, means: Float[Tensor, "batch *latent"]) -> None:
        """Add the posterior means of a batch."""
        merged = merge_all([*_unpack(self.rows), deviations_of(means.flatten(1))])
        self.rows = [torch.cat((merged.count[None], merged.mean, merged.squares))[None]]

    def compute(self) -> dict[str, Tensor]:
        """`count`, and the flat `variances` in squared units of z."""
        units = unit_variances(merge_all(_unpack(dim_zero_cat(self.rows))), self.threshold)
        return {"count": units.count, "variances": units.variances}


def _unpack(rows: list[Tensor] | Tensor) -> list[Deviations]:
    return [Deviations(row[0], *row[1:].chunk(2)) for row in (dim_zero_cat(rows) if len(rows) else ())]
