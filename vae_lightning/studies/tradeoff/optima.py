"""A Gaussian mixture of four codes -> the exact optima of likelihood less beta times mismatch: Fig. 1 as a curve."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float64
from numpy.typing import NDArray
from scipy.optimize import minimize
from torch import Tensor

from vae_lightning.data.processes import GaussianMixture

_SWEEPS = 30
_NEGLIGIBLE = 1e-12
Centers = Float64[Tensor, "4 dims"]


@dataclass(frozen=True, eq=False)
class Quadrature:
    """p_d as quadrature nodes x and weights, under a decoder N(x | mu_z, sigma^2 I) of four equally likely codes z."""

    x: Float64[Tensor, "nodes dims"]
    weights: Float64[Tensor, " nodes"]
    sigma: float

    @classmethod
    def of(cls, process: GaussianMixture, spacing: float) -> Quadrature:
        """The process's own grid, less nodes of no weight."""
        x, weights = process.quadrature(spacing)
        kept = weights > _NEGLIGIBLE
        return cls(x[kept], weights[kept] / weights[kept].sum(), process.sigma)

    def terms(self, centers: Centers) -> tuple[Float64[Tensor, ""], Float64[Tensor, ""]]:
        """L = E log p(x) and F = E min_q KL(q(z) || p(z | x)) over q of independent bits, nats, with their gradients.

        F's is that at the best q, by the envelope theorem.
        """
        squared = (self.x[:, None] - centers).square().sum(-1)
        normaliser = math.log(4) + self.x.shape[1] * math.log(self.sigma * math.sqrt(2 * math.pi))
        joint = -squared / (2 * self.sigma**2) - normaliser
        log_p = joint.log_softmax(-1)
        q = best_two_bits(log_p.detach())
        mismatch = torch.special.xlogy(q, q) - q * log_p
        return self.weights @ joint.logsumexp(-1), self.weights @ mismatch.sum(-1)


def best_two_bits(log_p: Float64[Tensor, "N 4"]) -> Float64[Tensor, "N 4"]:
    """The distribution of two independent bits of least KL to each row of log p over the codes 00, 01, 10, 11.

    Coordinate ascent with log p = a z1 + b z2 + c z1 z2. A sweep is an increasing map of P(z2 = 1), so that from 0 and
    from 1 it comes to the lowest and the highest of its at most three fixed points; the middle one is no maximum.
    """
    a, b = log_p[:, 2] - log_p[:, 0], log_p[:, 1] - log_p[:, 0]
    c = log_p[:, 3] - log_p[:, 2] - b
    second = torch.stack((torch.zeros_like(a), torch.ones_like(a)))
    for _ in range(_SWEEPS):
        first = (a + c * second).sigmoid()
        second = (b + c * first).sigmoid()
    q = torch.stack(((1 - first) * (1 - second), (1 - first) * second, first * (1 - second), first * second), -1)
    mismatch = (torch.special.xlogy(q, q) - q * log_p).sum(-1)
    return torch.where((mismatch[0] <= mismatch[1])[:, None], q[0], q[1])


@dataclass(frozen=True, eq=False)
class Point:
    """An optimum: its beta, the centers, E log p(x) and E KL(q || p(z | x)) in nats."""

    beta: float
    centers: Centers
    log_likelihood: float
    mismatch: float

    @classmethod
    def at(cls, quadrature: Quadrature, beta: float, centers: Centers) -> Point:
        """Judge these centers by this quadrature."""
        likelihood, mismatch = quadrature.terms(centers)
        return cls(beta, centers, float(likelihood), max(0.0, float(mismatch)))  # rounding may leave -1e-18

    @property
    def elbo(self) -> float:
        """Log-likelihood less mismatch."""
        return self.log_likelihood - self.mismatch

    @property
    def figures(self) -> dict[str, float]:
        """What is reported of it, in nats."""
        return {"log_likelihood": self.log_likelihood, "mismatch": self.mismatch, "elbo": self.elbo}

    @property
    def merit(self) -> tuple[float, float]:
        """What to choose by: L - beta F, or L where beta is infinite; among equals, as codes are at 0, the least F."""
        value = self.log_likelihood - (self.beta * self.mismatch if math.isfinite(self.beta) else 0.0)
        return round(value, 9), -self.mismatch


def optimum(quadrature: Quadrature, beta: float, starts: Iterable[Centers]) -> Point:
    """The best local maximum of L - beta F from these starts, by BFGS with exact gradients."""

    def objective(centers: Tensor) -> Tensor:
        likelihood, mismatch = quadrature.terms(centers)
        return likelihood - beta * mismatch

    return max(
        (Point.at(quadrature, beta, _ascend(objective, start)) for start in starts), key=lambda point: point.merit
    )


def best_rectangle(quadrature: Quadrature, starts: Iterable[Centers]) -> Point:
    """The limit beta -> infinity: the most likely model without mismatch.

    With a uniform prior, independent bits are the posterior where |mu_z|^2 and mu_z are affine in z: where the centers
    are a rectangle 00, 01, 11, 10. It has five parameters, here its middle and two edges, the second one turned to be
    perpendicular to the first.
    """
    signs = torch.tensor([[-1, -1], [-1, 1], [1, -1], [1, 1]], dtype=torch.float64)

    def rectangle(theta: Tensor) -> Tensor:
        middle, edge, length = theta[:2], theta[2:4], theta[4]
        across = length * torch.stack((-edge[1], edge[0])) / edge.norm()
        return middle + signs @ torch.stack((edge, across))

    def likelihood(theta: Tensor) -> Tensor:
        return quadrature.terms(rectangle(theta))[0]

    found = []
    for start in starts:
        edge, other = (start[2:].mean(0) - start[:2].mean(0)) / 2, (start[1::2].mean(0) - start[::2].mean(0)) / 2
        across = (other @ torch.stack((-edge[1], edge[0]))) / edge.norm()
        theta = _ascend(likelihood, torch.cat((start.mean(0), edge, across[None])))
        found.append(Point.at(quadrature, math.inf, rectangle(theta)))
    return max(found, key=lambda point: point.merit)


def curve(quadrature: Quadrature, betas: Sequence[float], starts: Sequence[Centers]) -> list[Point]:
    """An optimum for each beta, in ascending order: from all starts, and from the optima next to it on either side.

    Infinity is allowed as the last beta.
    """
    ordered = sorted(betas)
    points: list[Point] = []
    for beta in ordered:
        candidates = [*starts, *(point.centers for point in points[-1:])]
        points.append(
            best_rectangle(quadrature, candidates) if math.isinf(beta) else optimum(quadrature, beta, candidates)
        )
    for place in reversed(range(len(ordered) - 1)):
        back = optimum(quadrature, ordered[place], [points[place + 1].centers])
        points[place] = max(points[place], back, key=lambda point: point.merit)
    return points


def labellings(centers: Centers) -> list[Centers]:
    """The three ways to give four centers codes that differ in which pairs differ by both bits."""
    return [centers[list(order)] for order in ((0, 1, 2, 3), (0, 1, 3, 2), (0, 3, 2, 1))]


def _ascend(objective: Callable[[Tensor], Tensor], start: Tensor) -> Tensor:
    def negative(flat: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        theta = torch.from_numpy(flat.copy()).reshape(start.shape).requires_grad_()
        value = -objective(theta)
        (gradient,) = torch.autograd.grad(value, theta)
        return float(value.detach()), gradient.numpy().ravel()

    found = minimize(negative, start.numpy().ravel(), jac=True, method="BFGS", options={"gtol": 1e-7})
    return torch.from_numpy(found.x).reshape(start.shape)
