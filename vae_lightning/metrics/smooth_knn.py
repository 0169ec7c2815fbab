"""SmoothKNN: batches of two samples -> how surely they differ in distribution."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Float, Float64
from torch import Tensor
from torchmetrics import Metric
from torchmetrics.utilities import dim_zero_cat

from vae_lightning.metrics.functional.smooth_knn import as_alphas, smooth_knn
from vae_lightning.metrics.gather import check_limit, earliest, gather_rows


class SmoothKNN(Metric):
    """The standardised smooth k-nearest-neighbours statistic, as `functional.smooth_knn` defines it.

    0 +- 1 when both samples come from one distribution, large when they do not. Rows are kept and gathered, and memory
    grows with the square of their number: give it some hundreds a side, or set a limit: then only the first so many
    rows of either sample count, where batches are dealt to the processes in turn.

    Examples:
        >>> import torch
        >>> from vae_lightning.metrics import SmoothKNN
        >>> _ = torch.manual_seed(0)
        >>> metric = SmoothKNN()
        >>> metric.update(torch.randn(100, 2), 5 + torch.randn(100, 2))
        >>> metric.compute() > 4  # samples that nobody could confuse
        tensor(True)
    """

    is_differentiable = False
    higher_is_better = False
    full_state_update = False
    first: list[Tensor]
    second: list[Tensor]
    first_numbers: list[Tensor]
    second_numbers: list[Tensor]

    def __init__(
        self,
        k: int = 1,
        alpha: float | int | Sequence[float | int] = 1.0,
        limit: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**{"dist_sync_fn": gather_rows} | kwargs)
        if k < 1:
            raise ValueError(f"SmoothKNN needs k >= 1, got {k}")
        check_limit("SmoothKNN", limit)
        self.k, self.alpha, self.limit = k, as_alphas(alpha), limit
        for state in ("first", "second", "first_numbers", "second_numbers"):
            self.add_state(state, [], dist_reduce_fx="cat")

    @property
    def full(self) -> bool:
        """Whether this process holds as many rows of both as count: more batches change nothing."""
        held = (sum(map(len, numbers)) for numbers in (self.first_numbers, self.second_numbers))
        return self.limit is not None and min(held) >= self.limit

    def update(self, x: Float[Tensor, "batch1 d"], y: Float[Tensor, "batch2 d"]) -> None:
        """Add rows of both samples, not necessarily as many of each."""
        if self.full:
            return
        self.first.append(x.detach())
        self.second.append(y.detach())
        self.first_numbers.append(torch.full((len(x),), len(self.first_numbers), device=x.device))
        self.second_numbers.append(torch.full((len(y),), len(self.second_numbers), device=y.device))

    def compute(self) -> Float64[Tensor, ""]:
        """The statistic t."""
        (x,) = earliest(self.limit, dim_zero_cat(self.first_numbers), dim_zero_cat(self.first))
        (y,) = earliest(self.limit, dim_zero_cat(self.second_numbers), dim_zero_cat(self.second))
        return smooth_knn(x, y, self.k, self.alpha)
