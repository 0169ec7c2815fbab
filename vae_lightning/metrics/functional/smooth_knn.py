"""Two samples -> the smooth k-nearest-neighbours statistic: how surely they come from different distributions."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float64
from torch import Tensor

_ROUNDING = 1e-5  # under both roots of the reference: distances and standard deviations stay off zero


@dataclass(frozen=True, eq=False)
class NeighbourEdges:
    """The expected number of nearest-neighbour edges between two samples, and its moments under random relabelling."""

    crossing: Float64[Tensor, ""]
    mean: Float64[Tensor, ""]
    variance: Float64[Tensor, ""]

    @property
    def raw(self) -> Float64[Tensor, ""]:
        """-T, the statistic as such: it depends on the sizes of the samples."""
        return -self.crossing

    @property
    def standardised(self) -> Float64[Tensor, ""]:
        """t = -(T - mean) / sqrt(1e-5 + variance), of mean 0 and variance 1 when both samples are exchangeable."""
        return (self.mean - self.crossing) / (_ROUNDING + self.variance).sqrt()


def smooth_knn(
    x: Tensor, y: Tensor, k: int = 1, alpha: float | int | Sequence[float | int] = 1.0
) -> Float64[Tensor, ""]:
    """Smooth k-nearest-neighbours two-sample statistic, standardised: 0 +- 1 for equal distributions, large for others.

    In the pool of n = n1 + n2 points, d_ij = sqrt(1e-5 + |x_i - x_j|^2). Every point i draws a set of k others with
    probability proportional to exp(-alpha sum of d_ij over the set); M_ij is the probability that j is drawn (k = 1: a
    softmax), T the sum of M_ij over ordered pairs from different samples. The figure is
    -(T - E T) / sqrt(1e-5 + Var T), its moments taken under random relabelling of the pool.

    Args:
        x: (n1, d).
        y: (n2, d).
        k: neighbours, 1 <= k < n.
        alpha: inverse temperature, in 1 / distance; of several, the M are averaged before the statistic is taken.

    Raises:
        ValueError: samples that are empty, of different dimension or not finite, fewer than four points, k or alpha out
            of range.

    In float64, without gradient; memory is O(k n^2).
    Source: Djolonga, Krause, Learning Implicit Generative Models Using Differentiable Graph Tests (2017).

    Examples:
        >>> import torch
        >>> from vae_lightning.metrics.functional import smooth_knn
        >>> _ = torch.manual_seed(0)
        >>> x, y = torch.randn(100, 2), torch.randn(100, 2)
        >>> smooth_knn(x, y).abs() < 3, smooth_knn(x, y + 5) > 4
        (tensor(True), tensor(True))
    """
    return neighbour_edges(x, y, k, alpha).standardised


@torch.no_grad()
def neighbour_edges(
    x: Tensor, y: Tensor, k: int = 1, alpha: float | int | Sequence[float | int] = 1.0
) -> NeighbourEdges:
    """T with its mean and variance under random relabelling: see `smooth_knn`, whose arguments and errors these are."""
    alphas = as_alphas(alpha)
    _check(x, y, k)
    pool = torch.cat((x.double(), y.double()))
    distance = (torch.cdist(pool, pool, compute_mode="donot_use_mm_for_euclid_dist").square() + _ROUNDING).sqrt()
    distance.fill_diagonal_(torch.inf)
    drawn = torch.stack([inclusion_probabilities(-a * distance, k) for a in alphas]).mean(0)
    mean, variance = _relabelling_moments(drawn, len(x), len(y))
    crossing = drawn[: len(x), len(x) :].sum() + drawn[len(x) :, : len(x)].sum()
    return NeighbourEdges(crossing, mean, variance)


def inclusion_probabilities(log_weight: Float64[Tensor, "rows n"], k: int) -> Float64[Tensor, "rows n"]:
    """For each row, the probability that j is in a set of k drawn in proportion to the product of its weights.

    w_j e_{k-1}(w without j) / e_k(w), with e_k the elementary symmetric polynomials, from tables of log e_r over the
    weights before and after j: nothing is subtracted or divided, so that no weight is too small. Rows sum to k; a
    log-weight of -inf is never drawn.
    """
    if k == 1:
        return log_weight.softmax(-1)
    before = _log_symmetric(log_weight, k)
    after = _log_symmetric(log_weight.flip(-1), k).flip(0)
    others = (before[:-1, :, :k] + after[1:, :, :k].flip(-1)).logsumexp(-1)  # log e_{k-1} without j, (n, rows)
    return (log_weight + others.mT - before[-1, :, k:]).exp()


def _log_symmetric(log_weight: Float64[Tensor, "rows n"], k: int) -> Float64[Tensor, "n_plus_1 rows k_plus_1"]:
    """Log e_r of the first j weights for j = 0..n and r = 0..k: e_r(j) = e_r(j - 1) + w_j e_{r-1}(j - 1)."""
    rows, n = log_weight.shape
    table = log_weight.new_full((n + 1, rows, k + 1), -torch.inf)
    table[:, :, 0] = 0
    for j in range(n):
        torch.logaddexp(table[j, :, 1:], table[j, :, :-1] + log_weight[:, j, None], out=table[j + 1, :, 1:])
    return table


def _relabelling_moments(m: Float64[Tensor, "n n"], n1: int, n2: int) -> tuple[Tensor, Tensor]:
    """Mean and variance of T over all ways to name n1 of the n points the first sample."""
    n = n1 + n2
    total = m.sum()
    one_pair = n1 * n2 / (n * (n - 1))
    two_pairs = 4 * (n1 - 1) * (n2 - 1) / ((n - 2) * (n - 3))
    stars = (m.sum(0) + m.sum(1)).square().sum()
    edges = m.square().sum() + (m * m.mT).sum()
    variance = one_pair * ((1 - two_pairs) * stars + two_pairs * edges + (two_pairs - 4 * one_pair) * total.square())
    return 2 * one_pair * total, variance


def as_alphas(alpha: float | int | Sequence[float | int]) -> list[float]:
    """One or several inverse temperatures as a list; ValueError unless all are positive and finite."""
    alphas = [float(a) for a in ([alpha] if isinstance(alpha, int | float) else alpha)]
    if not alphas or not all(0 < a < math.inf for a in alphas):
        raise ValueError(f"smooth_knn needs positive finite values of alpha, got {alphas}")
    return alphas


def _check(x: Tensor, y: Tensor, k: int) -> None:
    if x.ndim != 2 or y.ndim != 2 or x.shape[1] != y.shape[1] or not (len(x) and len(y)):
        raise ValueError(
            f"smooth_knn needs samples (n1, d) and (n2, d), n1, n2 >= 1; got {tuple(x.shape)} and {tuple(y.shape)}"
        )
    if len(x) + len(y) < 4:
        raise ValueError(f"smooth_knn needs four points or more to standardise, got {len(x)} + {len(y)}")
    if not 1 <= k < len(x) + len(y):
        raise ValueError(f"smooth_knn needs 1 <= k < {len(x) + len(y)}, the number of points; got k = {k}")
    if not (x.isfinite().all() and y.isfinite().all()):
        raise ValueError("smooth_knn needs finite values, got NaN or infinity")
