"""VAEs that are nearly tight and far from consistent: near-deterministic flows, with their figures in closed form."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

from vae_lightning.conditional import Conditional
from vae_lightning.families import Bernoulli, Normal
from vae_lightning.latent_variable import LatentVariableModel
from vae_lightning.priors import FactorisedPrior


@dataclass(frozen=True)
class Escape:
    """Example A.1's figures at beta, over uniform x: what `discrete_flow(beta)` must come to.

    As beta grows epsilon vanishes while the distance to the nearest harmonium grows without bound. Epsilon rises first:
    it is not monotone in beta. The bound of Theorem 2 holds, and says nothing, since alpha vanishes faster.

    Examples:
        >>> from vae_lightning.consistency import Escape
        >>> [round(Escape(beta).epsilon, 4) for beta in (1.0, 2.0, 4.0)]  # the mismatch vanishes
        [0.1816, 0.0694, 0.0027]
    """

    beta: float

    @property
    def epsilon(self) -> float:
        """E KL(q(z | x) || p(z | x)) = beta tanh(beta) (1 - tanh(beta)), in nats."""
        return self.beta * math.tanh(self.beta) * 2 * self._odds / (1 + self._odds)

    @property
    def alpha(self) -> float:
        """The least probability of a code, exp(-2 beta) / (2 cosh(beta))^2."""
        return (self._odds / (1 + self._odds)) ** 2

    @property
    def largest_deviation(self) -> float:
        """max |log q(z | x) - log p(z | x)| = 2 beta."""
        return 2 * self.beta

    @property
    def delta_squared(self) -> float:
        """E (log q(z | x) - log p(z | x))^2 = 2 beta^2 for every code."""
        return 2 * self.beta**2

    @property
    def squared_error(self) -> float:
        """E (log p(x, z) - log p~(x, z))^2 = beta^2 for every code, with Proposition A.1's harmonium p~."""
        return self.beta**2

    @property
    def _odds(self) -> float:
        """Of a bit that is not as it should be: exp(-2 beta)."""
        return math.exp(-2 * self.beta)


def discrete_flow(beta: float) -> LatentVariableModel:
    """Example A.1: two bits to two bits by x = (z1, z1 z2) in terms of -1 and 1, nearly deterministic for large beta.

    Decoder and encoder are independent bits with logits 2 beta pi(z) and 2 beta pi(x), pi being its own inverse; the
    prior is uniform. This encoder is not the best factorised one, as `best_factorised` shows.
    Source: Shekhovtsov et al. (2022), Example A.1.
    """
    bits = Bernoulli(2)

    def network(context_shape: object, num_outputs: int) -> nn.Module:
        return _Swap(beta)

    return LatentVariableModel(
        Conditional(bits, (2,), network), Conditional(bits, (2,), network), FactorisedPrior(bits)
    )


def smooth_flow(sigma: float) -> LatentVariableModel:
    """A VAE of one latent and one observed real number that becomes the flow x = sinh(z) as sigma goes to 0.

        p(z) = N(0, 1),    p(x | z) = N(sinh z, sigma^2),    q(z | x) = N(asinh x, sigma^2 / (1 + x^2))

    q is the posterior's limit: its deviation is sigma over the slope of sinh. The mismatch vanishes with sigma^2 and
    the decoder stays what it is: an affine map explains 2 e / (e^2 - 1) = 0.851 of it over the prior.
    Source: the construction of Dai and Wipf, Diagnosing and Enhancing VAE Models (2019), Theorem 2.
    """
    latent, observed = Normal(1), Normal(1, scale=sigma)
    return LatentVariableModel(
        Conditional(latent, (1,), lambda shape, outputs: _ArcSinh(sigma)),
        Conditional(observed, (1,), lambda shape, outputs: _Sinh()),
        FactorisedPrior(latent),
    )


class _Swap(nn.Module):
    def __init__(self, beta: float) -> None:
        super().__init__()
        self.beta = beta

    def forward(self, bits: Float[Tensor, "*batch 2"]) -> Float[Tensor, "*batch 2"]:
        first, second = (2 * bits - 1).unbind(-1)
        return 2 * self.beta * torch.stack((first, first * second), -1)


class _Sinh(nn.Module):
    def forward(self, z: Float[Tensor, "*batch 1"]) -> Float[Tensor, "*batch 1"]:
        return z.sinh()


class _ArcSinh(nn.Module):
    def __init__(self, sigma: float) -> None:
        super().__init__()
        self.sigma = sigma

    def forward(self, x: Float[Tensor, "*batch 1"]) -> Float[Tensor, "*batch 2"]:
        return torch.cat((x.asinh(), math.log(self.sigma) - 0.5 * x.square().log1p()), -1)
