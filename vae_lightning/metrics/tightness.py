"""Tightness: batches of log q(z | x) and log p(z | x) over all codes -> epsilon, alpha and Theorem 2's bound."""

from __future__ import annotations

import math
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from vae_lightning.metrics.functional.tightness import least_probability, theorem_2_bound
from vae_lightning.metrics.moments import Moments, with_errors


class Tightness(Moments):
    """E_x KL(q(z | x) || p(z | x)) of a model with few codes, exactly, as `functional.tightness` defines it."""

    higher_is_better = False
    alpha: Tensor

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(("epsilon",), **kwargs)
        self.add_state("alpha", torch.tensor(math.inf, dtype=torch.float64), dist_reduce_fx="min")

    def update(self, log_q: Float[Tensor, "codes batch"], log_p: Float[Tensor, "codes batch"]) -> None:
        """Add the posteriors of a batch, in nats."""
        log_q, log_p = log_q.double(), log_p.double()
        self.add({"epsilon": (log_q.exp() * (log_q - log_p)).sum(0)})
        self.alpha = torch.minimum(self.alpha, least_probability(log_q, log_p))

    def compute(self) -> dict[str, Tensor]:
        """`epsilon` with its standard error over the data, `alpha`, and `theorem_2_bound`."""
        figures = with_errors(self.estimates())
        return figures | {"alpha": self.alpha, "theorem_2_bound": theorem_2_bound(figures["epsilon"], self.alpha)}
