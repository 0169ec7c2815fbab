"""ActiveUnits: batches of posterior means -> how many latent units vary over the data, on any number of processes."""

from __future__ import annotations

from typing import Any

from jaxtyping import Float
from torch import Tensor
from torchmetrics import Metric

from vae_lightning.metrics.functional import deviations
from vae_lightning.metrics.functional.active_units import UnitVariances, deviations_of, unit_variances
from vae_lightning.metrics.gather import gather_rows


class ActiveUnits(Metric):
    """The number of active units and every unit's variance, as `functional.active_units` defines them.

    Kept is one float64 row of count, means and squared deviations, merged exactly over batches and processes: a mean
    far from zero costs no digits, which sums of squares would.

    Examples:
        >>> import torch
        >>> from vae_lightning.metrics import ActiveUnits
        >>> metric = ActiveUnits()
        >>> for _ in range(3):
        ...     metric.update(torch.randn(100, 4) * torch.tensor([1.0, 1.0, 0.0, 0.0]))
        >>> metric.compute()["count"]
        tensor(2)
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
        self.rows = deviations.added(self.rows, deviations_of(means.flatten(1)))

    def compute(self) -> dict[str, Tensor]:
        """`count`, and the flat `variances` in squared units of z."""
        units = unit_variances(deviations.merged(self.rows), self.threshold)
        return {"count": units.count, "variances": units.variances}

    def units(self) -> UnitVariances:
        """The same as a record, with an axis of units for a single one, too, of which torchmetrics makes a scalar."""
        return UnitVariances(self.compute()["variances"].reshape(-1), self.threshold)
