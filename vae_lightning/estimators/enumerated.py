"""Enumerated: the exact bound and gradient, by summing over all codes."""

from __future__ import annotations

import torch
import torch.distributions as td
from jaxtyping import Float
from torch import Tensor

from vae_lightning.distributions import HELD_BITS, enumerate_codes, family_name, states
from vae_lightning.estimators.base import Aggregate, GradientEstimator, Integrand, mean


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
        values = states(q)
        if values is None:
            raise TypeError(f"Enumerated needs a discrete posterior, got {family_name(q)}; use Reparameterised")
        bits = self.num_samples * values.bits
        if bits > HELD_BITS:
            raise ValueError(
                f"Enumerated would sum over 2^{bits:.0f} terms, the limit is 2^{HELD_BITS}; use DisARM or LeaveOneOut"
            )

    def forward(self, q: td.Distribution, f: Integrand, aggregate: Aggregate = mean) -> Float[Tensor, " batch"]:
        """The exact bound, (B,)."""
        self.check(q)
        codes = enumerate_codes(q)
        values, log_q = f(codes), q.log_prob(codes)
        tuples = torch.cartesian_prod(*[torch.arange(len(codes), device=log_q.device)] * self.num_samples)
        tuples = tuples.reshape(-1, self.num_samples).T
        return (log_q[tuples].sum(0).exp() * aggregate(values[tuples])).sum(0)
