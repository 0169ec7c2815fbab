"""Pairs (t, eta) -> the affine map of t nearest to eta, from centred moments that merge exactly."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float, Float64
from torch import Tensor

_RANK_TOLERANCE = 1e-12  # of the sum of the correlations' eigenvalues: what single precision rounds is below it


@dataclass(frozen=True, eq=False)
class PairMoments:
    """Weight, means and centred second moments of pairs of an input t and an output eta, in float64.

    Memory is I x I + I x O, whatever the number of pairs.
    """

    count: Float64[Tensor, ""]
    input_mean: Float64[Tensor, " I"]
    output_mean: Float64[Tensor, " O"]
    inputs: Float64[Tensor, "I I"]
    cross: Float64[Tensor, "I O"]
    outputs: Float64[Tensor, " O"]

    def merge(self, other: PairMoments) -> PairMoments:
        """Both together. Source: Chan, Golub, LeVeque, Updating Formulae and a Pairwise Algorithm (1979), Eq. 2.1."""
        count = self.count + other.count
        share = other.count / count
        t, eta = other.input_mean - self.input_mean, other.output_mean - self.output_mean
        scale = self.count * share
        return PairMoments(
            count,
            self.input_mean + t * share,
            self.output_mean + eta * share,
            self.inputs + other.inputs + scale * torch.outer(t, t),
            self.cross + other.cross + scale * torch.outer(t, eta),
            self.outputs + other.outputs + scale * eta.square(),
        )

    def flat(self) -> Float64[Tensor, " numbers"]:
        """All of it in one vector, which `unflatten` reads."""
        size = self.count.new_tensor(len(self.input_mean))
        parts = (self.input_mean, self.output_mean, self.inputs.flatten(), self.cross.flatten(), self.outputs)
        return torch.cat((torch.stack((self.count, size)), *parts))


def unflatten(row: Float64[Tensor, " numbers"]) -> PairMoments:
    """What `PairMoments.flat` wrote."""
    size = int(row[1])
    outputs = (len(row) - 2 - size - size**2) // (2 + size)
    parts = row[2:].split((size, outputs, size**2, size * outputs, outputs))
    input_mean, output_mean, inputs, cross, squares = parts
    return PairMoments(row[0], input_mean, output_mean, inputs.view(size, size), cross.view(size, outputs), squares)


def pair_moments(
    inputs: Float[Tensor, "N I"], outputs: Float[Tensor, "N O"], weights: Float[Tensor, " N"] | None = None
) -> PairMoments:
    """Of N pairs, each of weight one unless told; ValueError unless all are finite and the weights add up to > 0."""
    inputs, outputs = inputs.detach().double(), outputs.detach().double()
    weights = inputs.new_ones(len(inputs)) if weights is None else weights.double()
    count = weights.sum()
    if not (count > 0 and (weights >= 0).all()):
        raise ValueError("an affine fit needs observations of weights >= 0 that add up to more than 0")
    if not (inputs.isfinite().all() and outputs.isfinite().all()):
        raise ValueError("an affine fit needs finite statistics and natural parameters, got NaN or infinity")
    input_mean, output_mean = weights @ inputs / count, weights @ outputs / count
    t, eta = inputs - input_mean, outputs - output_mean
    weighted = weights[:, None] * t
    return PairMoments(count, input_mean, output_mean, weighted.mT @ t, weighted.mT @ eta, weights @ eta.square())


@dataclass(frozen=True, eq=False)
class AffineFit:
    """The map eta^(t) = W t + b that leaves the least squared residual, and how much it leaves.

    `residual` and `total` are each output's mean squared deviation from the map and from its own `mean`; `rank` is how
    many inputs are no affine functions of the others, `count` the weight of all pairs.
    """

    weight: Float64[Tensor, "O I"]
    bias: Float64[Tensor, " O"]
    mean: Float64[Tensor, " O"]
    residual: Float64[Tensor, " O"]
    total: Float64[Tensor, " O"]
    rank: int
    count: Float64[Tensor, ""]

    def r_squared(self, importance: Float[Tensor, " O"] | None = None) -> Float64[Tensor, ""]:
        """1 - residual / total, summed over the outputs, each times its importance; 1 where nothing varies."""
        importance = torch.ones_like(self.total) if importance is None else importance.double()
        total = importance @ self.total
        # what single precision rounds is no variation, nor an output that no longer depends on its input
        floor = (4 * torch.finfo(torch.float32).eps) ** 2 * (importance @ self.mean.square())
        return torch.where(total > floor, 1 - importance @ self.residual / total.clamp(min=1e-300), 1.0)

    def adjusted_r_squared(self, importance: Float[Tensor, " O"] | None = None) -> Float64[Tensor, ""]:
        """R^2 freed of its optimism, 1 - (1 - R^2) (N - 1) / (N - 1 - rank); NaN for N <= rank + 1 pairs.

        Any map is affine on so few. Source: Ezekiel, Methods of Correlation Analysis (1930).
        """
        degrees = float(self.count) - 1
        if degrees <= self.rank:
            return self.total.new_tensor(math.nan)
        return 1 - (1 - self.r_squared(importance)) * degrees / (degrees - self.rank)


def affine_fit(
    inputs: Float[Tensor, "N I"], outputs: Float[Tensor, "N O"], weights: Float[Tensor, " N"] | None = None
) -> AffineFit:
    """Weighted least squares of outputs on inputs and a constant, in float64; rank-aware, without a ridge.

    Args:
        inputs: (N, I), such as sufficient statistics T(z).
        outputs: (N, O), such as natural parameters f(z).
        weights: (N,), such as probabilities; by default all equal.

    Raises:
        ValueError: values that are not finite, weights that are negative or all zero.
    """
    return fit_moments(pair_moments(inputs, outputs, weights))


def fit_moments(moments: PairMoments, coupled: slice = slice(None)) -> AffineFit:
    """The fit of these moments; the outputs that are not `coupled` are fitted by constants."""
    scale = moments.inputs.diagonal().sqrt()
    inverse = torch.where(scale > 0, 1 / scale.clamp(min=1e-300), 0.0)
    values, vectors = torch.linalg.eigh(inverse[:, None] * moments.inputs * inverse)
    kept = values > _RANK_TOLERANCE * len(values)  # the eigenvalues add up to their number
    basis = inverse[:, None] * vectors[:, kept]
    chosen = torch.zeros_like(moments.outputs)
    chosen[coupled] = 1.0
    projected = (basis.mT @ moments.cross) * chosen
    weight = (basis @ (projected / values[kept, None])).mT
    explained = (projected.square() / values[kept, None]).sum(0)
    residual = (moments.outputs - explained).clamp(min=0)
    n, mean = moments.count, moments.output_mean
    bias = mean - weight @ moments.input_mean
    return AffineFit(weight, bias, mean, residual / n, moments.outputs / n, int(kept.sum()), n)
