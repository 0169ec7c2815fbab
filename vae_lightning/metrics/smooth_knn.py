"""SmoothKNN: batches of two samples -> how surely they differ in distribution."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from jaxtyping import Float, Float64
from torch import Tensor
from torchmetrics import Metric
from torchmetrics.utilities import dim_zero_cat

from vae_lightning.metrics.functional.smooth_knn import as_alphas, smooth_knn
from vae_lightning.metrics.gather import gather_rows


class SmoothKNN(Metric):
    """The standardised smooth k-nearest-neighbours statistic, as `functional.smooth_knn` defines it.

    0 +- 1 when both samples come from one distribution, large when they do not. Rows are kept and gathered, and memory
    grows with the square of their number: give it some hundreds a side.
    """

    is_differentiable = False
    higher_is_better = False
    full_state_update = False
    first: list[Tensor]
    second: list[Tensor]

    def __init__(self, k: int = 1, alpha: float | int | Sequence[float | int] = 1.0, **kwargs: Any) -> None:
        super().__init__(**{"dist_sync_fn": gather_rows} | kwargs)
        if k < 1:
            raise ValueError(f"SmoothKNN needs k >= 1, got {k}")
        self.k, self.alpha = k, as_alphas(alpha)
        self.add_state("first", [], dist_reduce_fx="cat")
        self.add_state("second", [], dist_reduce_fx="cat")

    def update(self, x: Float[Tensor, "batch1 d"], y: Float[Tensor, "batch2 d"]) -> None:
        """Add rows of both samples, not necessarily as many of each."""
        self.first.append(x.detach())
        self.second.append(y.detach())

    def compute(self) -> Float64[Tensor, ""]:
        """The statistic."""
        return smooth_knn(dim_zero_cat(self.first), dim_zero_cat(self.second), self.k, self.alpha)
