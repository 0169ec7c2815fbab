"""Reinforce and LeaveOneOut: the learning signal of each sample times the score grad log q(z)."""

from __future__ import annotations

import abc

import torch
import torch.distributions as td
from jaxtyping import Float
from torch import Tensor

from vae_lightning.arguments import check_kinds
from vae_lightning.distributions import sample
from vae_lightning.estimators.base import (
    Aggregate,
    GradientEstimator,
    Integrand,
    local_signals,
    mean,
    with_gradient_of,
)


class ScoreFunction(GradientEstimator):
    """sum_k (F - baseline_k) grad log q(z_k), for any posterior with a density."""

    def forward(self, q: td.Distribution, f: Integrand, aggregate: Aggregate = mean) -> Float[Tensor, " batch"]:
        """The bound, (B,)."""
        z = sample(q, self.num_samples, self.noise)
        values = f(z)
        signals = local_signals(values.detach(), self.replacement(values.detach()), aggregate)
        return with_gradient_of(aggregate(values), (signals * q.log_prob(z)).sum(0))

    @abc.abstractmethod
    def replacement(self, values: Float[Tensor, "samples batch"]) -> Float[Tensor, "samples batch"]:
        """What stands in for f(z_k) in the baseline of sample k; must not depend on z_k."""


class Reinforce(ScoreFunction):
    """No baseline (Williams, 1992): under the ELBO each sample's signal is its own f / S. Mostly for comparison."""

    def replacement(self, values: Float[Tensor, "samples batch"]) -> Float[Tensor, "samples batch"]:
        """Zero."""
        return torch.zeros_like(values)


class LeaveOneOut(ScoreFunction):
    """The mean of the other samples as baseline: RLOO under the ELBO, VIMCO under the importance-weighted bound.

    Sources: Kool, van Hoof, Welling, Buy 4 REINFORCE samples, get a baseline for free (2019); Mnih and Rezende,
    Variational inference for Monte Carlo objectives (2016), Eq. 8 with the geometric mean.
    """

    def __init__(self, num_samples: int = 2) -> None:
        check_kinds(LeaveOneOut, locals())
        if num_samples < 2:
            raise ValueError(f"LeaveOneOut needs num_samples >= 2, got {num_samples}; set it to 2, or use Reinforce")
        super().__init__(num_samples)

    def replacement(self, values: Float[Tensor, "samples batch"]) -> Float[Tensor, "samples batch"]:
        """(sum_j f_j - f_k) / (S - 1)."""
        return (values.sum(0) - values) / (len(values) - 1)
