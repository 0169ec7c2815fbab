"""A sample -> Henze-Zirkler statistic: how far it is from any multivariate Gaussian."""

from __future__ import annotations

import math
import sys
from dataclasses import dataclass
from statistics import NormalDist

import torch
from jaxtyping import Float, Float64
from torch import Tensor


def henze_zirkler(z: Tensor, chunk: int = 512) -> Float64[Tensor, ""]:
    """Henze-Zirkler statistic of multivariate normality, about 0.7 for a Gaussian sample and up to 4 n otherwise.

    With Y = z - mean, S the maximum-likelihood covariance (division by n), D_j = Y_j^T S^-1 Y_j,
    D_jk = (Y_j - Y_k)^T S^-1 (Y_j - Y_k) and b = ((2 d + 1) n / 4)^(1 / (d + 4)) / sqrt 2,

        HZ = 1/n sum_jk exp(-b^2 D_jk / 2) - 2 (1 + b^2)^(-d/2) sum_j exp(-b^2 D_j / (2 (1 + b^2)))
             + n (1 + 2 b^2)^(-d/2),

    the terms j = k included; HZ = 4 n where S is singular. It does not change under affine maps of z, so it says
    nothing of mean and scale. Differentiable, computed in float64, no unit.

    Args:
        z: (n, d), n observations.
        chunk: rows of the n x n matrix held at once; memory is O(chunk n), without gradient.

    Raises:
        ValueError: z is not a (n, d) matrix with n >= 2, or not finite; chunk < 1.

    Source: Henze, Zirkler, A Class of Invariant Consistent Tests for Multivariate Normality (1990), Eqs. 2.2-2.4.

    Examples:
        >>> import torch
        >>> from vae_lightning.metrics.functional import henze_zirkler
        >>> z = torch.distributions.Normal(0, 1).icdf(torch.linspace(0.005, 0.995, 100))[:, None]
        >>> henze_zirkler(z) < 0.1 < henze_zirkler(z.sign())  # Gaussian; two points
        tensor(True)
    """
    if z.ndim != 2 or len(z) < 2 or not z.shape[1]:
        raise ValueError(f"henze_zirkler needs a (n, d) sample with n >= 2 and d >= 1, got shape {tuple(z.shape)}")
    if chunk < 1:
        raise ValueError(f"henze_zirkler needs chunk >= 1, got {chunk}")
    if not z.isfinite().all():
        raise ValueError("henze_zirkler needs finite values, got NaN or infinity")
    n, d = z.shape
    b2 = _bandwidth(n, d)
    whitened, singular = _whiten(z)
    if singular:
        return z.new_tensor(4.0 * n, dtype=torch.float64)
    distance = whitened.square().sum(-1)  # D_j
    pairs = distance.new_zeros(())
    for rows, row_distance in zip(whitened.split(chunk), distance.split(chunk), strict=True):
        exponent = rows @ whitened.mT - 0.5 * (row_distance[:, None] + distance)  # -D_jk / 2
        pairs = pairs + (b2 * exponent).exp().sum()
    points = (-b2 * distance / (2 * (1 + b2))).exp().sum()
    return pairs / n - 2 * (1 + b2) ** (-d / 2) * points + n * (1 + 2 * b2) ** (-d / 2)


@dataclass(frozen=True)
class HenzeZirklerNull:
    """What the statistic of a Gaussian sample is: its mean and variance, and a lognormal law that has both."""

    mean: float
    variance: float

    @property
    def _of_logarithm(self) -> NormalDist:
        spread = math.log1p(self.variance / self.mean**2)
        tiny = sys.float_info.min  # in hundreds of dimensions the variance is no number any more
        return NormalDist(math.log(self.mean) - spread / 2, math.sqrt(max(spread, tiny)))

    def critical(self, level: float) -> float:
        """What a Gaussian sample exceeds with this probability."""
        return math.exp(self._of_logarithm.inv_cdf(1 - level))

    def p_value(self, statistic: float) -> float:
        """The probability that a Gaussian sample gives as much or more."""
        law = self._of_logarithm
        return 0.5 * math.erfc((math.log(statistic) - law.mean) / (law.stdev * math.sqrt(2))) if statistic > 0 else 1.0


def henze_zirkler_null(n: int, d: int) -> HenzeZirklerNull:
    """The law of the statistic for n Gaussian observations of d dimensions, asymptotic in n.

    With a = 1 + 2 b^2 and w = (1 + b^2) (1 + 3 b^2),

        mean = 1 - a^(-d/2) (1 + d b^2 / a + d (d + 2) b^4 / (2 a^2))
        variance = 2 (1 + 4 b^2)^(-d/2) + 2 a^-d (1 + 2 d b^4 / a^2 + 3 d (d + 2) b^8 / (4 a^4))
                   - 4 w^(-d/2) (1 + 3 d b^4 / (2 w) + d (d + 2) b^8 / (2 w^2)).

    Raises ValueError unless n >= 2 and d >= 1.
    Source: Henze, Zirkler (1990), Theorem 3.2 with the bandwidth of `henze_zirkler`, and its Section 4 for the
    lognormal law.
    """
    if n < 2 or d < 1:
        raise ValueError(f"henze_zirkler needs n >= 2 and d >= 1, got n = {n} and d = {d}")
    b2 = _bandwidth(n, d)
    a, w, pairs = 1 + 2 * b2, (1 + b2) * (1 + 3 * b2), d * (d + 2)
    mean = 1 - a ** (-d / 2) * (1 + d * b2 / a + pairs * b2**2 / (2 * a**2))
    variance = (
        2 * (1 + 4 * b2) ** (-d / 2)
        + 2 * a**-d * (1 + 2 * d * b2**2 / a**2 + 3 * pairs * b2**4 / (4 * a**4))
        - 4 * w ** (-d / 2) * (1 + 3 * d * b2**2 / (2 * w) + pairs * b2**4 / (2 * w**2))
    )
    return HenzeZirklerNull(mean, variance)


def _bandwidth(n: int, d: int) -> float:
    """b^2."""
    return 0.5 * ((2 * d + 1) * n / 4) ** (2 / (d + 4))


def _whiten(z: Float[Tensor, "n d"]) -> tuple[Float64[Tensor, "n d"], bool]:
    """Y L^-T with S = L L^T, and whether S is singular as far as the rounding of z can tell."""
    y = z.double()
    y = y - y.mean(0)
    covariance = y.mT @ y / len(y)
    factor, failed = torch.linalg.cholesky_ex(covariance)
    computed = sum(z.shape) * torch.finfo(torch.float64).eps * covariance.diagonal()
    stored = (4 * torch.finfo(z.dtype).eps * z.detach().double().abs().amax(0)).square()
    # a pivot is the variance that the columns before leave unexplained
    singular = bool(failed) or bool((factor.diagonal().square() <= computed + stored).any())
    return (y if singular else torch.linalg.solve_triangular(factor, y.mT, upper=False).mT), singular
