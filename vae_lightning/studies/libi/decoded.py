"""DecodedPlane: any network from the plane as a process with its exact density, by quadrature over the codes."""

from __future__ import annotations

import copy

import torch
from jaxtyping import Float, Float64
from torch import Size, Tensor, nn

from vae_lightning.data.processes import LatentProcess
from vae_lightning.data.processes.quadrature import log_integral

_REACH = 7.0  # beyond it the prior has less than 1e-10
_ROWS = 32


class DecodedPlane(LatentProcess):
    """z ~ N(0, I) in the plane, x = network(z) + e, e ~ N(0, diag(noise_variance)); the network need not be invertible.

    p(x) is integrated over the codes with |z_i| < 7, on boxes that shrink to the mass. A posterior of several distant
    modes is integrated in one box, and a network of ReLUs is smooth but for kinks: the error is then about 1e-3.

    Args:
        network: z -> the mean of x; copied, in float64.
        noise_variance: of each coordinate of x.
    """

    latent_shape = Size([2])

    def __init__(self, network: nn.Module, noise_variance: Float64[Tensor, " dims"]) -> None:
        self.network = copy.deepcopy(network).double().cpu().eval().requires_grad_(False)
        self.noise_variance, self.event_shape = noise_variance, noise_variance.shape

    def decode(self, z: Float[Tensor, "*B 2"]) -> Float[Tensor, "*B dims"]:
        """network(z)."""
        return self.network(z)

    def log_prob(self, x: Float[Tensor, "*B dims"]) -> Float[Tensor, "*B"]:
        """Log p(x)."""
        rows = x.double().reshape(-1, *self.event_shape).split(_ROWS)
        return torch.cat([self._log_prob(row) for row in rows]).reshape(x.shape[:-1]).to(x.dtype)

    def _log_prob(self, x: Float64[Tensor, "B dims"]) -> Float64[Tensor, " B"]:
        high = torch.full((len(x), 2), _REACH, dtype=torch.float64)
        return log_integral(lambda z: self.log_joint(x[:, None], z), -high, high, nodes=96, zooms=4)
