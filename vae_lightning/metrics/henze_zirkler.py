"""HenzeZirkler: batches of vectors -> how far from Gaussian all of them are together."""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Float, Float64
from torch import Tensor
from torchmetrics import Metric
from torchmetrics.utilities import dim_zero_cat

from vae_lightning.metrics.functional.henze_zirkler import henze_zirkler, henze_zirkler_null
from vae_lightning.metrics.gather import check_limit, earliest, gather_rows


class HenzeZirkler(Metric):
    """The Henze-Zirkler statistic of all rows, as `functional.henze_zirkler` defines it; rows are kept and gathered.

    `chunk` bounds the memory of the N x N kernel; with a limit only the first so many rows count, where batches are
    dealt to the processes in turn. Raises ValueError where the function does, and without rows.

    Examples:
        >>> import torch
        >>> from vae_lightning.metrics import HenzeZirkler
        >>> _ = torch.manual_seed(0)
        >>> metric = HenzeZirkler()
        >>> metric.update(torch.randn(200, 2))
        >>> figures = metric.compute()
        >>> figures["henze_zirkler"] < figures["henze_zirkler_critical"]
        tensor(True)
    """

    is_differentiable = False
    higher_is_better = False
    full_state_update = False
    rows: list[Tensor]
    numbers: list[Tensor]

    def __init__(self, chunk: int = 512, limit: int | None = None, **kwargs: Any) -> None:
        super().__init__(**{"dist_sync_fn": gather_rows} | kwargs)
        if chunk < 1:
            raise ValueError(f"HenzeZirkler needs chunk >= 1, got {chunk}")
        check_limit("HenzeZirkler", limit)
        self.chunk, self.limit = chunk, limit
        self.add_state("rows", [], dist_reduce_fx="cat")
        self.add_state("numbers", [], dist_reduce_fx="cat")

    @property
    def full(self) -> bool:
        """Whether this process holds as many rows as count: more batches change nothing."""
        return self.limit is not None and sum(map(len, self.numbers)) >= self.limit

    def update(self, z: Float[Tensor, "batch d"]) -> None:
        """Add a batch of rows."""
        if self.full:
            return
        self.rows.append(z.detach())
        self.numbers.append(torch.full((len(z),), len(self.numbers), device=z.device))

    def compute(self) -> dict[str, Float64[Tensor, ""]]:
        """`henze_zirkler`, and what it is for Gaussian rows: its mean `_null`, 5 % point `_critical`, p-value `_p`."""
        (rows,) = earliest(self.limit, dim_zero_cat(self.numbers), dim_zero_cat(self.rows))
        statistic = henze_zirkler(rows, self.chunk)
        null = henze_zirkler_null(*rows.shape)
        beside = {"null": null.mean, "critical": null.critical(0.05), "p": null.p_value(statistic.item())}
        return {"henze_zirkler": statistic} | {
            f"henze_zirkler_{name}": statistic.new_tensor(value) for name, value in beside.items()
        }
