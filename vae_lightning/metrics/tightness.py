"""Tightness: batches of log q(z | x) and log p(z | x) over all codes -> epsilon, alpha and Theorem 2's bound."""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torchmetrics.utilities import dim_zero_cat

from vae_lightning.metrics.functional.tightness import least_probability, theorem_2_bound
from vae_lightning.metrics.means import MeanWithError, with_errors


class Tightness(MeanWithError):
    """E_x KL(q(z | x) || p(z | x)) of a model with few codes, exactly, as `functional.tightness` defines it.

    Examples:
        >>> import torch
        >>> from vae_lightning.metrics import Tightness
        >>> log_q, log_p = torch.tensor([[0.5], [0.5]]).log(), torch.tensor([[0.9], [0.1]]).log()
        >>> metric = Tightness()
        >>> metric.update(log_q, log_p)
        >>> round(metric.compute()["epsilon"].item(), 4)  # KL(q || p) = log(0.5 / 0.3)
        0.5108
    """

    higher_is_better = False
    least: list[Tensor]

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(("epsilon",), **kwargs)
        self.add_state("least", [], dist_reduce_fx="cat")

    def update(self, log_q: Float[Tensor, "codes batch"], log_p: Float[Tensor, "codes batch"]) -> None:
        """Add the posteriors of a batch, in nats."""
        log_q, log_p = log_q.double(), log_p.double()
        self.add({"epsilon": (log_q.exp() * (log_q - log_p)).sum(0)})
        self.least = [torch.stack([*self.least, least_probability(log_q, log_p)[None]]).amin(0)]

    def compute(self) -> dict[str, Tensor]:
        """`epsilon` with its standard error over the data, `alpha`, and `theorem_2_bound`."""
        figures = with_errors(self.estimates())
        alpha = dim_zero_cat(self.least).min()
        return figures | {"alpha": alpha, "theorem_2_bound": theorem_2_bound(figures["epsilon"], alpha)}
