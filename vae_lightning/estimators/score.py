"""Reinforce and LeaveOneOut: the learning signal of each sample times the score grad log q(z)."""

from __future__ import annotations

import abc

import torch
import torch.distributions as td
from jaxtyping import Float
from torch import Tensor

from vae_lightning.construction.arguments import check_kinds
from vae_lightning.distributions import sample
from vae_lightning.estimators.base import (
    Aggregate,
    GradientEstimator,
    Integrand,
    local_signals,
    mean,
)
from vae_lightning.gradients import with_gradient_of


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
    """No baseline (Williams, 1992): under the ELBO each sample's signal is its own f / S. Mostly for comparison.

    Examples:
        >>> import torch
        >>> from vae_lightning.estimators import Reinforce
        >>> from vae_lightning.families import Bernoulli
        >>> _ = torch.manual_seed(0)
        >>> logits = torch.zeros(1000, 1, requires_grad=True)  # a thousand rows of one fair bit
        >>> Reinforce()(Bernoulli(1).distribution(logits), lambda z: z.sum(-1)).sum().backward()
        >>> logits.grad.mean(), logits.grad.std()  # p (1 - p) = 1/4, with noise: DisARM has none here
        (tensor(0.2460), tensor(0.2501))
    """

    def replacement(self, values: Float[Tensor, "samples batch"]) -> Float[Tensor, "samples batch"]:
        """Zero."""
        return torch.zeros_like(values)


class LeaveOneOut(ScoreFunction):
    """The mean of the other samples as baseline: RLOO under the ELBO, VIMCO under the importance-weighted bound.

    Sources: Kool, van Hoof, Welling, Buy 4 REINFORCE samples, get a baseline for free (2019); Mnih and Rezende,
    Variational inference for Monte Carlo objectives (2016), Eq. 8 with the geometric mean.

    Examples:
        >>> import torch
        >>> from vae_lightning.estimators import LeaveOneOut, log_mean_exp
        >>> from vae_lightning.families import Bernoulli
        >>> q = Bernoulli(8).distribution(torch.zeros(5, 8, requires_grad=True))
        >>> LeaveOneOut(4)(q, lambda z: z.sum(-1)).shape  # RLOO
        torch.Size([5])
        >>> LeaveOneOut(4)(q, lambda z: z.sum(-1), log_mean_exp).shape  # VIMCO
        torch.Size([5])
    """

    def __init__(self, num_samples: int = 2) -> None:
        check_kinds(LeaveOneOut, locals())
        if num_samples < 2:
            raise ValueError(f"LeaveOneOut needs num_samples >= 2, got {num_samples}; set it to 2, or use Reinforce")
        super().__init__(num_samples)

    def replacement(self, values: Float[Tensor, "samples batch"]) -> Float[Tensor, "samples batch"]:
        """(sum_j f_j - f_k) / (S - 1)."""
        return (values.sum(0) - values) / (len(values) - 1)
