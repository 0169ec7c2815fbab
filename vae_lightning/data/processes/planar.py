"""PlanarProcess: an invertible decoder of the plane -> its exact density, by quadrature around the inverse image."""

from __future__ import annotations

import abc

import torch
from jaxtyping import Float, Float64
from torch import Size, Tensor

from vae_lightning.data.processes.latent import LatentProcess
from vae_lightning.data.processes.quadrature import NEGLIGIBLE, log_integral

_ROWS = 32
"""Observations whose grids are evaluated at the same time: they should stay in the processor's cache."""


class PlanarProcess(LatentProcess):
    """z ~ N(0, I) in the plane, x = f(z) + e with f one-to-one: p(x) = int p(z) p(x|z) |dz/du| du.

    A subclass chooses the coordinates u in which the integrand is smooth. An x may lie anywhere: the first box holds
    all that is within `NEGLIGIBLE` nats of a z already known, and shrinks to the mass.
    """

    event_shape = latent_shape = Size([2])

    @abc.abstractmethod
    def invert(self, x: Float64[Tensor, "*B 2"]) -> Float64[Tensor, "*B 2"]:
        """The z with f(z) = x."""

    @abc.abstractmethod
    def code(self, u: Float64[Tensor, "*B 2"]) -> tuple[Float64[Tensor, "*B 2"], Float64[Tensor, "*B"]]:
        """The z at coordinates u, and log |det dz/du|."""

    @abc.abstractmethod
    def box(
        self, x: Float64[Tensor, "B 2"], reach: Float64[Tensor, "B 1"]
    ) -> tuple[Float64[Tensor, "B 2"], Float64[Tensor, "B 2"]]:
        """Bounds on u wherever f(z) is within `reach` standard deviations of x, and z within `reach` of 0."""

    def log_prob(self, x: Float[Tensor, "*B 2"]) -> Float[Tensor, "*B"]:
        """Log p(x), by quadrature that has converged to the rounding of float64."""
        rows = x.double().reshape(-1, 2).split(_ROWS)
        values = torch.cat([self._log_prob(row) for row in rows])
        return values.reshape(x.shape[:-1]).to(x.dtype)

    def _log_prob(self, x: Float64[Tensor, "B 2"]) -> Float64[Tensor, " B"]:
        with torch.no_grad():
            # e and z have these squared lengths at two points that x could come from
            noise = ((x - self.decode(torch.zeros_like(x))) / self.noise_variance.to(x).sqrt()).square().sum(-1)
            code = self.invert(x).square().sum(-1).nan_to_num(torch.inf)
            low, high = self.box(x, (torch.minimum(noise, code) + 2 * NEGLIGIBLE).sqrt()[:, None])

        def log_density(u: Float64[Tensor, "B nodes 2"]) -> Float64[Tensor, "B nodes"]:
            z, log_volume = self.code(u)
            return self.log_joint(x[:, None], z) + log_volume

        return log_integral(log_density, low, high)
