"""Annealed importance sampling: a path between two unnormalised densities -> the ratio of their normalisers."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float, Float64
from torch import Tensor

from vae_lightning.log_mean import log_mean, log_share_of_others, variance_of_log_mean


@runtime_checkable
class Path(Protocol):
    """Unnormalised densities p_beta for beta from 0 to 1, each with a Markov chain that leaves it invariant."""

    def log_ratio(self, x: Tensor, start: float, end: float) -> Float[Tensor, "chains *batch"]:
        """Log p_end(x) - log p_start(x), in nats."""

    def transition(self, x: Tensor, beta: float) -> Tensor:
        """One step of a Markov chain that leaves p_beta invariant."""


def ascending(betas: Float[Tensor, " steps"]) -> Float[Tensor, " steps"]:
    """The same betas; raises ValueError unless they go from 0 to 1 without turning back."""
    if len(betas) < 2 or betas[0] != 0 or betas[-1] != 1 or not (betas.diff() >= 0).all():
        raise ValueError("betas must go from 0 to 1 without turning back, as torch.linspace(0, 1, 1000) does")
    return betas


@torch.no_grad()
def anneal(path: Path, x: Tensor, betas: Float[Tensor, " steps"]) -> Float64[Tensor, "chains *batch"]:
    """Log-weights whose mean weight is an unbiased estimate of Z_last / Z_first, for x drawn from p_first.

    `betas` from 0 to 1 give Z_1 / Z_0; from 1 to 0, for exact samples of p_1, the reverse run gives Z_0 / Z_1.
    Source: Neal, Annealed Importance Sampling (2001), Eq. 11; in reverse, Burda, Grosse, Salakhutdinov (2015), Sec. 3.
    """
    total = torch.zeros((), dtype=torch.float64, device=x.device)
    for start, end in pairwise(betas.tolist()):
        total = total + path.log_ratio(x, start, end).double()  # a float64 scalar alone would not promote
        x = path.transition(x, end)
    return total


@dataclass(frozen=True, eq=False)
class LogMean:
    """The log of a mean of n independent weights, in nats, with the standard error of that log.

    `stderr` is by leaving each weight out (`log_mean.variance_of_log_mean`), rather too large than too small where n
    is small. `effective_sample_size` is (sum w)^2 / sum w^2, between 1 and n: near 1, neither figure can be trusted.
    """

    value: Float64[Tensor, "*batch"]
    stderr: Float64[Tensor, "*batch"]
    effective_sample_size: Float64[Tensor, "*batch"]

    @classmethod
    def of(cls, log_weight: Float64[Tensor, "n *batch"]) -> LogMean:
        """Log 1/n sum_i w_i with its standard error, which is NaN for a single weight."""
        stderr = variance_of_log_mean(log_share_of_others(log_weight)).sqrt()
        return cls(log_mean(log_weight), stderr, 1 / log_weight.softmax(0).square().sum(0))
