"""GaussianMixture: equally likely spherical Gaussians with known centers."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from jaxtyping import Float, Float64
from torch import Generator, Size, Tensor

from vae_lightning.construction.arguments import check_kinds
from vae_lightning.data.processes.base import Process

FOUR_CENTERS = ((-0.2, 0.3), (-0.1, -1.55), (-2.0, 0.05), (2.3, 1.2))
"""The artificial example's centers, by code 00, 01, 10, 11. Its paper gives four figures and no centers: this layout
was found by a search for one with those figures."""


class GaussianMixture(Process):
    """p*(x) = 1/K sum_c N(x | mu_c, sigma^2 I).

    Component c stands for the code of its binary digits, the first bit slowest: with four, z = 2 b_1 + b_2.
    ValueError for ragged or missing centers, or for a sigma that is not positive and finite.

    Source: Shekhovtsov, Schlesinger, Flach, VAE Approximation Error (2022), section 4.1.

    Examples:
        >>> import torch
        >>> from vae_lightning.data.processes import GaussianMixture
        >>> truth = GaussianMixture(((-2.0,), (2.0,)), sigma=0.5)
        >>> x = torch.linspace(-5, 5, 1001, dtype=torch.float64)[:, None]
        >>> round((truth.log_prob(x).exp().sum() * 0.01).item(), 4)
        1.0
    """

    def __init__(self, centers: Sequence[Sequence[float]] = FOUR_CENTERS, sigma: float = 1.0) -> None:
        check_kinds(GaussianMixture, locals())
        if not centers or not centers[0] or len({len(center) for center in centers}) > 1:
            raise ValueError(f"centers must be one or more points of the same dimension, got {centers}")
        if not 0 < sigma < math.inf:
            raise ValueError(f"sigma is a standard deviation and must be positive and finite, got {sigma}")
        self.centers: Float64[Tensor, "components dims"] = torch.tensor(centers, dtype=torch.float64)
        self.sigma = sigma
        self.event_shape = Size(self.centers.shape[1:])

    def sample(self, n: int, generator: Generator | None = None) -> Float[Tensor, "n dims"]:
        """Draw a component, then x around its center."""
        component = torch.randint(len(self.centers), (n,), generator=generator)
        noise = torch.randn(n, *self.event_shape, generator=generator)
        return self.centers.to(noise)[component] + self.sigma * noise

    def log_joint(self, x: Float[Tensor, "*B dims"]) -> Float[Tensor, "*B components"]:
        """Log p*(x, c) = log N(x | mu_c, sigma^2 I) - log K."""
        squared = (x[..., None, :] - self.centers.to(x)).square().sum(-1)
        normaliser = math.log(len(self.centers)) + x.shape[-1] * math.log(self.sigma * math.sqrt(2 * math.pi))
        return -squared / (2 * self.sigma**2) - normaliser

    def log_prob(self, x: Float[Tensor, "*B dims"]) -> Float[Tensor, "*B"]:
        """Log p*(x)."""
        return self.log_joint(x).logsumexp(-1)

    def posterior(self, x: Float[Tensor, "*B dims"]) -> Float[Tensor, "*B components"]:
        """p*(c | x), which sums to one over the components."""
        return self.log_joint(x).softmax(-1)

    def quadrature(self, spacing: float = 0.1) -> tuple[Float64[Tensor, "nodes dims"], Float64[Tensor, " nodes"]]:
        """Nodes x_i and weights w_i with sum_i w_i f(x_i) = E_p* f(x): a regular grid, weighted by the density.

        The spacing is in units of sigma; the grid reaches 7 sigma beyond the centers, where 1e-10 of the mass is left.
        A regular grid converges exponentially for smooth f, and, unlike Gaussian rules, still fast for f with kinks,
        such as ReLU networks and optima over a code. ValueError for a spacing that is not positive, or a grid of more
        than 10^7 nodes.
        """
        if not spacing > 0:
            raise ValueError(f"spacing is in units of sigma and must be positive, got {spacing}")
        reach, step = 7 * self.sigma, spacing * self.sigma
        low, high = self.centers.amin(0) - reach, self.centers.amax(0) + reach
        counts = ((high - low) / step).ceil().long() + 1
        if counts.double().log10().sum() > 7:
            raise ValueError(
                f"a grid of {counts.tolist()} nodes is too large (at most 10^7 in all): choose a larger spacing"
            )
        lines = [start + step * torch.arange(count).double() for start, count in zip(low, counts.tolist(), strict=True)]
        nodes = torch.stack(torch.meshgrid(*lines, indexing="ij"), -1).flatten(0, -2)
        weights = self.log_prob(nodes).exp()
        return nodes, weights / weights.sum()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({len(self.centers)} centers, sigma={self.sigma})"
