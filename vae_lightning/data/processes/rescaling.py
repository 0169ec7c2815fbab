"""Rescaling: the same model with codes of another scale, which a likelihood of codes without constraints prefers."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float, Float64
from torch import Tensor

from vae_lightning.construction.arguments import check_kinds
from vae_lightning.data.processes.latent import LatentProcess
from vae_lightning.data.processes.linear_gaussian import LinearGaussian


class Rescaled(LatentProcess):
    """f^(z^) = f(c^2 z^) with codes z^ = z / c^2, of standard deviation 1 / c^2 (Eqs 34 to 37).

    x and its likelihood are what they were, as long as codes come from N(0, I / c^4): `sample` draws them so, (z^, x).
    (The source has their variance as 1 / c.) Under p(z) = N(0, I), which the model assumes, x would be another:
    `log_joint` has that prior.
    ValueError unless c is positive and finite.

    Source: Yacoby, Pan, Doshi-Velez, Characterizing and Avoiding Problematic Global Optima of Variational
    Autoencoders (2019), appendix D, Eqs 34 to 41.

    Args:
        process: f and its noise.
        c: codes shrink by c^2.

    Examples:
        >>> import torch
        >>> from vae_lightning.data.processes import LinearJTEx, Rescaled
        >>> truth, x = LinearJTEx(), LinearJTEx().sample(5)
        >>> torch.allclose(Rescaled(truth, c=2.0).log_prob(x), truth.log_prob(x))  # the same p(x) by smaller codes
        True
    """

    def __init__(self, process: LatentProcess, c: float) -> None:
        check_kinds(Rescaled, locals())
        if not 0 < c < math.inf:
            raise ValueError(f"c must be positive and finite, codes shrink by its square; got {c}")
        self.process, self.c = process, c
        self.event_shape, self.latent_shape = process.event_shape, process.latent_shape
        self.noise_variance = process.noise_variance

    def decode(self, z: Float[Tensor, "*B latent"]) -> Float[Tensor, "*B dims"]:
        """f(c^2 z^)."""
        return self.process.decode(self.c**2 * z)

    def log_prob(self, x: Float[Tensor, "*B dims"]) -> Float[Tensor, "*B"]:
        """Log p(x), the same as before (Eq. 38)."""
        return self.process.log_prob(x)

    def log_likelihood(self, x: Float[Tensor, "*B dims"], z: Float[Tensor, "*B latent"]) -> Float[Tensor, "*B"]:
        """Log p(x | z^) (Eq. 39)."""
        return self.log_joint(x, z) - _log_standard(z)

    def _transform(self, noise: Float64[Tensor, "n noise"]) -> tuple[Tensor, Tensor]:
        z, x = self.process._transform(noise)
        return z / self.c**2, x


@dataclass(frozen=True, eq=False)
class Gain:
    """Means over pairs, in nats: what rescaling adds to log p(x | z), and to log p(x | z) + log p(z)."""

    log_likelihood: Float64[Tensor, ""]
    log_joint: Float64[Tensor, ""]


def rescaling_gain(process: LatentProcess, c: float, n: int = 1000, seed: int = 0) -> Gain:
    """What the joint likelihood of codes (Eq. 31) gains by c: 0 of it the likelihood's, d (1 - c^-4) / 2 the prior's.

    Means over n pairs (z, x) drawn from the process; the same x, with codes z and z / c^2 (Eqs 39 and 40).
    """
    scaled = Rescaled(process, c)
    z, x = process._transform(_noise(process, n, seed))
    before, after = Rescaled(process, 1.0), scaled
    likelihood = after.log_likelihood(x, z / c**2) - before.log_likelihood(x, z)
    joint = after.log_joint(x, z / c**2) - before.log_joint(x, z)
    return Gain(likelihood.mean(), joint.mean())


def rescaled_linear(process: LinearGaussian, c: float) -> LinearGaussian:
    """What a linear model with the rescaled decoder generates from p(z) = N(0, I): not p(x) any more (Eq. 41)."""
    return LinearGaussian(c**2 * process.weight, process.noise_variance)


def _noise(process: LatentProcess, n: int, seed: int) -> Float64[Tensor, "n noise"]:
    return torch.randn(n, process._noise_dims, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def _log_standard(z: Float[Tensor, "*B latent"]) -> Float[Tensor, "*B"]:
    return -0.5 * (z.square() + math.log(2 * math.pi)).sum(-1)
