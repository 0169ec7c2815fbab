"""Enumerated: the exact bound and gradient, by summing over all codes."""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.distributions as td
from jaxtyping import Float
from torch import Tensor
from torch.distributions import constraints

from vae_lightning.estimators.base import Aggregate, GradientEstimator, Integrand, describe, mean

_MAX_BITS = 16


class Enumerated(GradientEstimator):
    """sum_{z_1..z_S} q(z_1) ... q(z_S) aggregate(f(z_1), ..., f(z_S)), for up to 16 bits in all.

    The truth the other estimators are tested against, and the best choice for short codes of small observations: f sees
    every code for every row of the batch, so memory grows as 2^bits times the decoder's own. For the ELBO one sample
    says it all; the importance-weighted bound of S samples sums over S-tuples of codes, S times the bits.

    Examples:
        >>> import torch
        >>> from vae_lightning.estimators import Enumerated
        >>> from vae_lightning.families import Bernoulli
        >>> logits = torch.zeros(1, 3, requires_grad=True)
        >>> bound = Enumerated()(Bernoulli(3).distribution(logits), lambda z: z.sum(-1))
        >>> bound.backward()
        >>> bound.item(), logits.grad  # E[z1 + z2 + z3], and p (1 - p) for each
        (1.5, tensor([[0.2500, 0.2500, 0.2500]]))
    """

    def check(self, q: td.Distribution) -> None:
        """TypeError unless q is discrete; ValueError if there are more than 2^16 terms."""
        bits = self.num_samples * _bits(q)
        if bits > _MAX_BITS:
            raise ValueError(
                f"Enumerated would sum over 2^{bits:.0f} terms, the limit is 2^{_MAX_BITS}; use DisARM or LeaveOneOut"
            )

    def forward(self, q: td.Distribution, f: Integrand, aggregate: Aggregate = mean) -> Float[Tensor, " batch"]:
        """The exact bound, (B,)."""
        self.check(q)
        codes = enumerate_codes(q)
        values, log_q = f(codes), q.log_prob(codes)
        tuples = torch.cartesian_prod(*[torch.arange(len(codes), device=log_q.device)] * self.num_samples)
        tuples = tuples.reshape(-1, self.num_samples).T
        return (log_q[tuples].sum(0).exp() * aggregate(values[tuples])).sum(0)


def _bits(q: td.Distribution) -> float:
    """Log2 of how many values q can take; TypeError if they cannot be listed."""
    base = q.base_dist if isinstance(q, td.Independent) else q
    if base.has_enumerate_support:
        if isinstance(q, td.Independent):
            return _num_variables(q) * math.log2(len(base.enumerate_support(expand=False)))
        if getattr(q.support, "base_constraint", None) is constraints.boolean:  # bits that depend on each other
            return float(q.event_shape.numel())
    raise TypeError(f"Enumerated needs a discrete posterior, got {describe(q)}; use Reparameterised")


def _num_variables(q: td.Independent[Any]) -> int:
    return q.base_dist.batch_shape[len(q.batch_shape) :].numel()


def enumerate_codes(q: td.Distribution) -> Float[Tensor, "codes batch *latent"]:
    """Every value q can take, (codes, B, *Z), first variable slowest."""
    if not isinstance(q, td.Independent):
        return q.enumerate_support()
    options = q.base_dist.enumerate_support(expand=False)
    options = options.reshape(len(options), *q.base_dist.event_shape)
    variables = _num_variables(q)
    choice = torch.cartesian_prod(*[torch.arange(len(options), device=options.device)] * variables)
    codes = options[choice.reshape(-1, variables)].reshape(-1, *q.event_shape)
    shape = (len(codes), *q.batch_shape, *q.event_shape)
    return codes.reshape(len(codes), *[1] * len(q.batch_shape), *q.event_shape).expand(shape)
