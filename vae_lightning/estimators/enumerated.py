"""Enumerated: the exact bound and gradient, by summing over all codes."""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.distributions as td
from jaxtyping import Float
from torch import Tensor

from vae_lightning.estimators.base import Aggregate, GradientEstimator, Integrand, describe, mean

_MAX_BITS = 16


class Enumerated(GradientEstimator):
    """sum_{z_1..z_S} q(z_1) ... q(z_S) aggregate(f(z_1), ..., f(z_S)), for up to 16 bits in all.

    The truth the other estimators are tested against, and the best choice for short codes of small observations: f sees
    every code for every row of the batch, so memory grows as 2^bits times the decoder's own. For the ELBO one sample
    says it all; the importance-weighted bound of S samples sums over S-tuples of codes, S times the bits.
    """

    def check(self, q: td.Distribution) -> None:
        """TypeError unless q is discrete; ValueError if there are more than 2^16 terms."""
        discrete = _discrete(q)
        options = len(discrete.base_dist.enumerate_support(expand=False))
        bits = self.num_samples * _num_variables(discrete) * math.log2(options)
        if bits > _MAX_BITS:
            raise ValueError(
                f"Enumerated would sum over 2^{bits:.0f} terms, the limit is 2^{_MAX_BITS}; use DisARM or LeaveOneOut"
            )

    def forward(self, q: td.Distribution, f: Integrand, aggregate: Aggregate = mean) -> Float[Tensor, " batch"]:
        """The exact bound, (B,)."""
        self.check(q)
        codes = enumerate_codes(_discrete(q))
        values, log_q = f(codes), q.log_prob(codes)
        tuples = torch.cartesian_prod(*[torch.arange(len(codes), device=log_q.device)] * self.num_samples)
        tuples = tuples.reshape(-1, self.num_samples).T
        return (log_q[tuples].sum(0).exp() * aggregate(values[tuples])).sum(0)


def _discrete(q: td.Distribution) -> td.Independent[Any]:
    if isinstance(q, td.Independent) and q.base_dist.has_enumerate_support:
        return q
    raise TypeError(f"Enumerated needs a discrete posterior, got {describe(q)}; use Reparameterised")


def _num_variables(q: td.Independent[Any]) -> int:
    return q.base_dist.batch_shape[len(q.batch_shape) :].numel()


def enumerate_codes(q: td.Independent[Any]) -> Float[Tensor, "codes batch *latent"]:
    """Every value q can take, (codes, B, *Z), first variable slowest."""
    options = q.base_dist.enumerate_support(expand=False)
    options = options.reshape(len(options), *q.base_dist.event_shape)
    variables = _num_variables(q)
    choice = torch.cartesian_prod(*[torch.arange(len(options), device=options.device)] * variables)
    codes = options[choice.reshape(-1, variables)].reshape(-1, *q.event_shape)
    shape = (len(codes), *q.batch_shape, *q.event_shape)
    return codes.reshape(len(codes), *[1] * len(q.batch_shape), *q.event_shape).expand(shape)
