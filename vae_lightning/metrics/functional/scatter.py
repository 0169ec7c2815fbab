"""Feature rows -> their count, mean and scatter matrix in float64, merged exactly."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import reduce

from jaxtyping import Float, Float64
from torch import Tensor


@dataclass(frozen=True, eq=False)
class Scatter:
    """Of n rows: n, their mean m and S = sum_i (x_i - m)(x_i - m)^T, from which the covariance is S / (n - 1)."""

    count: Float64[Tensor, ""]
    mean: Float64[Tensor, " d"]
    matrix: Float64[Tensor, "d d"]

    @classmethod
    def of(cls, rows: Float[Tensor, "n d"]) -> Scatter:
        """Of one batch of n >= 1 rows."""
        rows = rows.detach().double()
        mean = rows.mean(0)
        centred = rows - mean
        return cls(rows.new_tensor(len(rows)), mean, centred.mT @ centred)

    def merge(self, other: Scatter) -> Scatter:
        """Both together. Source: Chan, Golub, LeVeque, Updating Formulae and a Pairwise Algorithm (1979), Eq. 2.1."""
        count = self.count + other.count
        share, gap = other.count / count, other.mean - self.mean
        matrix = self.matrix + other.matrix + (self.count * share) * gap.outer(gap)
        return Scatter(count, self.mean + gap * share, matrix)

    @property
    def covariance(self) -> Float64[Tensor, "d d"]:
        """S / (n - 1), unbiased."""
        return self.matrix / (self.count - 1)


def merge_scatters(parts: Iterable[Scatter]) -> Scatter:
    """All of them as one, in order."""
    return reduce(Scatter.merge, parts)
