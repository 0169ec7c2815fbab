"""ARM and DisARM: pairs of antithetic codes, for factorised Bernoulli posteriors."""

from __future__ import annotations

import abc

import torch
import torch.distributions as td
from jaxtyping import Float
from torch import Tensor

from vae_lightning.estimators.base import (
    Aggregate,
    GradientEstimator,
    Integrand,
    bernoulli_logits,
    local_signals,
    mean,
)
from vae_lightning.gradients import with_gradient_of


class Antithetic(GradientEstimator):
    """S pairs z = 1[u < sigma(phi)], z' = 1[1 - u < sigma(phi)], of which z is kept and z' only compared.

    d/dphi = sum_k (F - F with f(z_k) replaced by f(z'_k)) w(u_k, phi), and the bound is F of the kept samples; the
    second of a pair is evaluated without gradient, so a step costs two forward passes and one backward pass.
    """

    def check(self, q: td.Distribution) -> None:
        """TypeError unless q is a factorised Bernoulli."""
        bernoulli_logits(q, type(self).__name__)

    def forward(self, q: td.Distribution, f: Integrand, aggregate: Aggregate = mean) -> Float[Tensor, " batch"]:
        """The bound, (B,)."""
        logits = bernoulli_logits(q, type(self).__name__)
        p = logits.detach().sigmoid()
        u = self.noise.uniform((self.num_samples, *p.shape), p)
        z, antithetic = (u < p).to(p.dtype), (1 - u < p).to(p.dtype)
        values = f(z)
        with torch.no_grad():
            signals = local_signals(values, f(antithetic), aggregate)
            weight = self.weight(u, p, z, antithetic)
        per_code = (weight * logits).flatten(-len(q.event_shape)).sum(-1)
        return with_gradient_of(aggregate(values), (signals * per_code).sum(0))

    @abc.abstractmethod
    def weight(self, u: Tensor, p: Tensor, z: Tensor, antithetic: Tensor) -> Float[Tensor, "samples batch *latent"]:
        """The factor of each bit's logit."""


class ARM(Antithetic):
    """Augment, reinforce, merge: w = 1/2 - u (Yin and Zhou, 2019). `num_samples` counts pairs.

    Examples:
        >>> import torch
        >>> from vae_lightning.estimators import ARM
        >>> from vae_lightning.families import Bernoulli
        >>> _ = torch.manual_seed(0)
        >>> logits = torch.zeros(1000, 1, requires_grad=True)  # a thousand rows of one fair bit
        >>> ARM()(Bernoulli(1).distribution(logits), lambda z: z.sum(-1)).sum().backward()
        >>> logits.grad.mean(), logits.grad.std()  # p (1 - p) = 1/4, with noise: DisARM has none here
        (tensor(0.2541), tensor(0.1454))
    """

    def weight(self, u: Tensor, p: Tensor, z: Tensor, antithetic: Tensor) -> Float[Tensor, "samples batch *latent"]:
        """1/2 - u."""
        return 0.5 - u


class DisARM(Antithetic):
    """ARM with the noise integrated out given both codes (Dong, Mnih, Tucker, 2020). `num_samples` counts pairs.

    w = (z - z') max(p, 1 - p) / 2: no weight where the two codes agree, and never more variance than ARM.

    Examples:
        >>> import torch
        >>> from vae_lightning.estimators import DisARM
        >>> from vae_lightning.families import Bernoulli
        >>> logits = torch.zeros(1000, 1, requires_grad=True)  # a thousand rows of one fair bit
        >>> DisARM()(Bernoulli(1).distribution(logits), lambda z: z.sum(-1)).sum().backward()
        >>> logits.grad.mean(), logits.grad.std()  # p (1 - p) = 1/4, without noise
        (tensor(0.2500), tensor(0.))
    """

    def weight(self, u: Tensor, p: Tensor, z: Tensor, antithetic: Tensor) -> Float[Tensor, "samples batch *latent"]:
        """(z - z') max(p, 1 - p) / 2."""
        return 0.5 * (z - antithetic) * torch.maximum(p, 1 - p)
