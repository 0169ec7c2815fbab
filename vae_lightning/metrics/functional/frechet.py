"""Two samples' moments, or their features -> Fréchet distance, by a symmetric route that is exact at any rank."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float64
from torch import Tensor

PANEL = 256
"""Rows of a matrix that are multiplied at once where the rest of them is zero or repeats what is known."""


@dataclass(frozen=True, eq=False)
class GaussianFit:
    """A mean (d,) and a factor F (d, r) of the covariance, C = F F^T: all that the Fréchet distance needs, in float64.

    Below full rank, d, the distance works with the r columns there are and adds no jitter.
    """

    mean: Float64[Tensor, " d"]
    factor: Float64[Tensor, "d r"]
    full_rank: bool

    @classmethod
    def of_moments(cls, mean: Tensor, cov: Tensor) -> GaussianFit:
        """From a mean (d,) and a covariance (d, d); ValueError unless they fit, are finite and C is a covariance."""
        if mean.ndim != 1 or cov.shape != mean.shape * 2:
            raise ValueError(
                f"a fit needs a mean (d,) and a covariance (d, d), got {tuple(mean.shape)} and {tuple(cov.shape)}"
            )
        _check_finite(mean, "mean")
        _check_finite(cov, "covariance")
        return cls(mean.detach().double(), *_factor(cov.detach().double()))

    @classmethod
    def of_features(cls, features: Tensor) -> GaussianFit:
        """From (n, d) features, n >= 2, with the unbiased covariance (division by n - 1).

        The centred rows divided by sqrt(n - 1) are a factor already, so that for n <= d no covariance is formed.
        Raises ValueError for fewer than two rows, or for features that are not finite.
        """
        if features.ndim != 2 or len(features) < 2:
            raise ValueError(f"features must be (n, d) with n >= 2 rows, got shape {tuple(features.shape)}")
        _check_finite(features, "features")
        rows = features.detach().double()
        mean = rows.mean(0)
        factor = (rows - mean).mT / (len(rows) - 1) ** 0.5
        if len(rows) <= len(mean):
            return cls(mean, factor, full_rank=False)
        return cls(mean, *_factor(factor @ factor.mT))

    def distance(self, other: GaussianFit) -> Float64[Tensor, ""]:
        """|m1 - m2|^2 + |F1|_F^2 + |F2|_F^2 - 2 |F1^T F2|_*; raises ValueError for different numbers of features.

        |F1^T F2|_*, the sum of the singular values, is tr (C1 C2)^(1/2) for any factors. At full rank it comes from
        the eigenvalues of a symmetric matrix, several times faster; below it those would lose half of the digits.
        """
        if self.mean.shape != other.mean.shape:
            raise ValueError(
                f"both sides need the same features, got {len(self.mean)} and {len(other.mean)}: use one network"
            )
        if self.full_rank and other.full_rank:
            overlap = _triangular_overlap(self.factor, other.factor)
        else:
            overlap = torch.linalg.svdvals(self.factor.mT @ other.factor).sum()
        traces = self.factor.square().sum() + other.factor.square().sum()
        return ((self.mean - other.mean).square().sum() + traces - 2 * overlap).clamp(min=0)

    def influence(self, other: GaussianFit, rows: Tensor) -> Float64[Tensor, " n"]:
        """How each of n rows (n, d) that this was fitted to moves the distance, up to a constant.

        I(x) = 2 (m - m')·(x - m) + |x - m|^2 - y^T (F^T C' F)^(1/2) y with F y = x - m, the derivative of the distance
        in the weight of x. sqrt(Var I / n) is its standard error over samples of n rows, with `other` fixed.
        Source: Rippl, Munk, Sturm, Limit laws of the empirical Wasserstein distance: Gaussian distributions (2016).
        """
        centred = rows.detach().double() - self.mean
        if self.full_rank:
            y = torch.linalg.solve_triangular(self.factor, centred.mT, upper=False)
        else:
            y = torch.linalg.pinv(self.factor.mT @ self.factor, hermitian=True) @ (self.factor.mT @ centred.mT)
        product = other.factor.mT @ self.factor
        values, vectors = torch.linalg.eigh(product.mT @ product)
        overlap = (values.clamp(min=0).sqrt()[:, None] * (vectors.mT @ y).square()).sum(0)
        return 2 * centred @ (self.mean - other.mean) + centred.square().sum(1) - overlap


def frechet_distance(mean1: Tensor, cov1: Tensor, mean2: Tensor, cov2: Tensor) -> Float64[Tensor, ""]:
    """Fréchet (2-Wasserstein, squared) distance of two Gaussians: |m1 - m2|^2 + tr(C1 + C2 - 2 (C1 C2)^(1/2)).

    With C = F F^T the last trace is the nuclear norm |F1^T F2|_*: no matrix square root, no imaginary part, no jitter,
    hence right for rank-deficient covariances too. In float64, in squared units of the features, without gradient.

    Args:
        mean1: (d,).
        cov1: (d, d), symmetric and positive semidefinite.
        mean2: (d,).
        cov2: (d, d).

    Raises:
        ValueError: shapes that disagree, NaN or infinity, a matrix that is not a covariance.

    Source: Heusel et al., GANs Trained by a Two Time-Scale Update Rule (2017), Eq. 6.

    Examples:
        >>> import torch
        >>> from vae_lightning.metrics.functional import frechet_distance
        >>> eye = torch.eye(2)
        >>> frechet_distance(torch.zeros(2), eye, torch.tensor([3.0, 0.0]), 4 * eye)  # 3^2 + 2 (2 - 1)^2
        tensor(11., dtype=torch.float64)
    """
    return GaussianFit.of_moments(mean1, cov1).distance(GaussianFit.of_moments(mean2, cov2))


def frechet_distance_of_features(features1: Tensor, features2: Tensor) -> Float64[Tensor, ""]:
    """Fréchet distance of Gaussians fitted to (n1, d) and (n2, d) features: see `frechet_distance`.

    Where a side has fewer rows than features, it works on its centred rows: faster than on a (d, d) covariance, and no
    digit is lost to forming one. Raises ValueError for fewer than two rows a side, or for features that do not fit.
    """
    return GaussianFit.of_features(features1).distance(GaussianFit.of_features(features2))


def _factor(cov: Float64[Tensor, "d d"]) -> tuple[Float64[Tensor, "d r"], bool]:
    """F with F F^T = C, the Cholesky factor, or where C is singular the scaled eigenvectors of its range; full rank?"""
    rounding = len(cov) * torch.finfo(cov.dtype).eps
    scale = cov.diagonal().abs().max()
    if _asymmetry(cov) > 1e-6 * scale:
        raise ValueError("a covariance must be symmetric: pass the covariance, not a factor of it")
    factor, failed = torch.linalg.cholesky_ex(cov)
    if not failed and factor.diagonal().square().min() > rounding * scale:
        return factor, True
    values, vectors = torch.linalg.eigh((cov + cov.mT) / 2)
    if values[0] < -1e-6 * scale:  # single precision's rounding is let pass
        raise ValueError(f"a covariance must be positive semidefinite, got an eigenvalue of {values[0].item():.3g}")
    kept = values > rounding * scale
    return vectors[:, kept] * values[kept].sqrt(), False


def _triangular_overlap(lower: Float64[Tensor, "d d"], other: Float64[Tensor, "d d"]) -> Float64[Tensor, ""]:
    """|L1^T L2|_* of Cholesky factors; products by panels leave out what is zero, and what symmetry repeats."""
    panels = [slice(start, start + PANEL) for start in range(0, len(lower), PANEL)]
    product = torch.cat([lower[panel.start :, panel].mT @ other[panel.start :] for panel in panels])
    gram = torch.zeros_like(product)
    for panel in panels:
        gram[panel, : panel.stop] = product[panel] @ product[: panel.stop].mT
    return torch.linalg.eigvalsh(gram, UPLO="L").clamp(min=0).sqrt().sum()


def _asymmetry(matrix: Float64[Tensor, "d d"]) -> Float64[Tensor, ""]:
    """The largest |C_ij - C_ji|, by panels: a whole transposed matrix is read three times as slowly."""
    stops = range(PANEL, len(matrix) + PANEL, PANEL)
    parts = [matrix[stop - PANEL : stop, :stop] - matrix[:stop, stop - PANEL : stop].mT for stop in stops]
    return torch.stack([part.abs().max() for part in parts]).max()


def _check_finite(values: Tensor, name: str) -> None:
    if not values.sum().isfinite() and not values.isfinite().all():  # the sum is quick, and seldom overflows
        raise ValueError(f"the {name} must be finite, got NaN or infinity: look at what the feature network emits")
