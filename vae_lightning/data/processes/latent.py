"""LatentProcess: a decoder and its noise -> a process with codes, the truth behind a VAE with a normal decoder."""

from __future__ import annotations

import abc
import math

import torch
from jaxtyping import Float, Float64
from torch import Generator, Size, Tensor
from torch.quasirandom import SobolEngine

from vae_lightning.data.processes.base import Process


class LatentProcess(Process):
    """z ~ N(0, I), x = f(z) + e, e ~ N(0, diag(noise_variance)).

    Shapes: z is (*B, latent), x is (*B, dims). Numbers are drawn and densities evaluated in float64, since the noise
    may be far smaller than x; results come in the dtype of x, samples in torch's default dtype.
    """

    latent_shape: Size
    noise_variance: Float64[Tensor, " dims"]

    @abc.abstractmethod
    def decode(self, z: Float[Tensor, "*B latent"]) -> Float[Tensor, "*B dims"]:
        """f(z), the mean of x given z."""

    def sample_joint(
        self, n: int, generator: Generator | None = None
    ) -> tuple[Float[Tensor, "n latent"], Float[Tensor, "n dims"]]:
        """N independent pairs (z, x)."""
        z, x = self._transform(torch.randn(n, self._noise_dims, generator=generator, dtype=torch.float64))
        dtype = torch.get_default_dtype()
        return z.to(dtype), x.to(dtype)

    def sample(self, n: int, generator: Generator | None = None) -> Float[Tensor, "n dims"]:
        """N independent observations."""
        return self.sample_joint(n, generator)[1]

    def quasi_sample(self, n: int, seed: int = 0) -> Float64[Tensor, "n dims"]:
        """N observations spread evenly, by a scrambled Sobol sequence, so that means over them have small errors.

        A mean over them is unbiased; take n a power of two, and the standard error from a few seeds.
        """
        uniform = SobolEngine(self._noise_dims, scramble=True, seed=seed).draw(n, dtype=torch.float64)
        # multiples of 2^-30, zero included: move them to the middle of their cells
        return self._transform(torch.special.ndtri(uniform + 2.0**-31))[1]

    def log_joint(self, x: Float[Tensor, "*Bx dims"], z: Float[Tensor, "*Bz latent"]) -> Float[Tensor, "*B"]:
        """Log p(z) + log p(x | z), in nats; the batches of x and z broadcast."""
        variance = self.noise_variance.to(z)
        squared = z.square().sum(-1) + ((x - self.decode(z)).square() / variance).sum(-1)
        return -0.5 * (squared + variance.log().sum() + self._noise_dims * math.log(2 * math.pi))

    @property
    def _noise_dims(self) -> int:
        return self.latent_shape.numel() + self.event_shape.numel()

    def _transform(self, noise: Float64[Tensor, "n noise"]) -> tuple[Tensor, Tensor]:
        """Standard normal numbers -> (z, x), in float64."""
        z, e = noise.split([self.latent_shape.numel(), self.event_shape.numel()], -1)
        return z, (self.decode(z) + self.noise_variance.sqrt() * e).detach()


def positive(name: str, value: float) -> float:
    """The value itself; ValueError unless it is positive and finite."""
    if not 0 < value < math.inf:
        raise ValueError(f"{name} must be positive and finite, got {value}")
    return value
