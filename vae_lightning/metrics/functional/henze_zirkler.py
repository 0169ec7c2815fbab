"""A sample -> Henze-Zirkler statistic: how far it is from any multivariate Gaussian."""

from __future__ import annotations

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
    """
    if z.ndim != 2 or len(z) < 2 or not z.shape[1]:
        raise ValueError(f"henze_zirkler needs a (n, d) sample with n >= 2 and d >= 1, got shape {tuple(z.shape)}")
    if chunk < 1:
        raise ValueError(f"henze_zirkler needs chunk >= 1, got {chunk}")
    if not z.isfinite().all():
        raise ValueError("henze_zirkler needs finite values, got NaN or infinity")
    n, d = z.shape
    b2 = 0.5 * ((2 * d + 1) * n / 4) ** (2 / (d + 4))
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
