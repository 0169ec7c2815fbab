"""Fréchet distance against scipy's matrix square root, closed forms, 50-digit arithmetic and the peers' code."""

import mpmath
import numpy as np
import pytest
import scipy.linalg
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pytorch_fid.fid_score import calculate_frechet_distance
from torch import Tensor
from torchmetrics.image.fid import _compute_fid

from vae_lightning.metrics.functional import GaussianFit, frechet_distance, frechet_distance_of_features


def moments(features: Tensor) -> tuple[Tensor, Tensor]:
    return features.mean(0), torch.cov(features.mT)


def features(rows: int, dimension: int, seed: int) -> Tensor:
    """Correlated, off centre, and different for each seed."""
    generator = torch.Generator().manual_seed(seed)
    noise = torch.randn(rows, dimension, generator=generator, dtype=torch.float64)
    mixing = torch.randn(dimension, dimension, generator=generator, dtype=torch.float64) / dimension**0.5
    return noise @ mixing + torch.rand(dimension, generator=generator, dtype=torch.float64)


@pytest.mark.parametrize("dimension", [1, 2, 7, 30])
def test_agrees_with_the_matrix_square_root(dimension):
    (mean1, cov1), (mean2, cov2) = (moments(features(500, dimension, seed)) for seed in (0, 1))
    root = np.atleast_2d(scipy.linalg.sqrtm(cov1.numpy().reshape(dimension, -1) @ cov2.numpy().reshape(dimension, -1)))
    traces = np.trace(np.atleast_2d(cov1)) + np.trace(np.atleast_2d(cov2))
    expected = float((mean1 - mean2).square().sum() + traces - 2 * np.trace(root).real)
    ours = frechet_distance(mean1, cov1.reshape(dimension, -1), mean2, cov2.reshape(dimension, -1))
    assert ours.item() == pytest.approx(expected, rel=1e-9)


def test_diagonal_covariances_have_a_closed_form_also_with_zeros():
    mean1, mean2 = torch.tensor([1.0, 2.0, 0.0, 5.0]), torch.tensor([0.0, 2.0, 3.0, 5.0])
    variances1, variances2 = torch.tensor([4.0, 0.0, 0.25, 0.0]), torch.tensor([1.0, 9.0, 0.0, 0.0])
    expected = 10 + (2 - 1) ** 2 + 3**2 + 0.5**2
    ours = frechet_distance(mean1, variances1.diag(), mean2, variances2.diag())
    assert ours.dtype == torch.float64
    assert ours.item() == pytest.approx(expected, abs=1e-12)


def distance_in_50_digits(factor1: Tensor, factor2: Tensor) -> float:
    """Of centred Gaussians, by tr (sqrt C1 C2 sqrt C1)^(1/2) with eigenvalues that carry 50 digits."""
    with mpmath.workdps(50):
        matrices = [mpmath.matrix(factor.tolist()) for factor in (factor1, factor2)]
        cov1, cov2 = (f * f.T for f in matrices)
        values, vectors = mpmath.eigsy(cov1)
        root = vectors * mpmath.diag([mpmath.sqrt(max(v, 0)) for v in values]) * vectors.T
        overlap = sum(mpmath.sqrt(max(v, 0)) for v in mpmath.eigsy(root * cov2 * root, eigvals_only=True))
        return float(sum(cov1[i, i] + cov2[i, i] for i in range(cov1.rows)) - 2 * overlap)


@pytest.mark.parametrize("ranks", [(2, 4), (1, 1), (6, 3), (6, 6)])
def test_is_exact_below_full_rank(ranks):
    generator = torch.Generator().manual_seed(sum(ranks))
    factor1, factor2 = (torch.randint(-4, 5, (6, r), generator=generator).double() for r in ranks)
    zero = torch.zeros(6)
    ours = frechet_distance(zero, factor1 @ factor1.mT, zero, factor2 @ factor2.mT)  # integers: formed without rounding
    assert ours.item() == pytest.approx(distance_in_50_digits(factor1, factor2), rel=1e-10)


@pytest.mark.parametrize("rows", [2, 20, 63, 64, 65, 200])
def test_a_shift_and_a_scale_of_the_features_show_exactly_for_any_number_of_rows(rows):
    one = features(rows, 64, 0)
    shifted, scaled = one + 0.125, one * 1.5
    assert frechet_distance_of_features(one, one).item() == pytest.approx(0, abs=1e-10)
    assert frechet_distance_of_features(one, shifted).item() == pytest.approx(64 * 0.125**2, rel=1e-9)
    expected = (0.5 * one.mean(0)).square().sum() + 0.25 * moments(one)[1].trace()
    assert frechet_distance_of_features(one, scaled).item() == pytest.approx(expected.item(), rel=1e-9)


@pytest.mark.parametrize(("rows1", "rows2"), [(200, 150), (200, 12), (30, 12), (40, 41)])
def test_features_and_their_moments_give_the_same(rows1, rows2):
    one, other = features(rows1, 40, 0), features(rows2, 40, 1)
    by_moments = frechet_distance(*moments(one), *moments(other))
    assert frechet_distance_of_features(one, other).item() == pytest.approx(by_moments.item(), rel=1e-8)
    mixed = GaussianFit.of_moments(*moments(one)).distance(GaussianFit.of_features(other))
    assert mixed.item() == pytest.approx(by_moments.item(), rel=1e-8)


@pytest.mark.filterwarnings("ignore:The `disp` argument")  # within pytorch-fid
def test_agrees_with_the_peers_where_they_are_reliable():
    one, other = moments(features(1000, 64, 0)), moments(features(900, 64, 1))
    ours = frechet_distance(*one, *other).item()
    assert ours == pytest.approx(calculate_frechet_distance(*(m.numpy() for m in one + other)), abs=1e-3)
    assert ours == pytest.approx(_compute_fid(*one, *other).item(), abs=1e-3)


@settings(max_examples=30)
@given(
    seed=st.integers(0, 10_000),
    rows=st.integers(2, 9),
    dimension=st.integers(1, 6),
    scale=st.sampled_from([1e-4, 1, 1e4]),
)
def test_is_symmetric_not_negative_and_scales_with_the_square(seed, rows, dimension, scale):
    one, other = features(rows, dimension, seed), features(6, dimension, seed + 1)
    distance = frechet_distance_of_features(one, other).item()
    assert distance >= 0
    assert frechet_distance_of_features(other, one).item() == pytest.approx(distance, rel=1e-9, abs=1e-12)
    assert frechet_distance_of_features(scale * one, scale * other).item() == pytest.approx(
        scale**2 * distance, rel=1e-6
    )


def test_moments_in_single_precision_are_let_pass():
    one, other = features(20, 40, 0), features(20, 40, 1)
    ours = frechet_distance(*(m.float() for m in moments(one) + moments(other)))
    assert ours.item() == pytest.approx(frechet_distance_of_features(one, other).item(), rel=1e-3)


GOOD = torch.eye(3)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((torch.zeros(3), torch.eye(2), torch.zeros(3), GOOD), r"got \(3,\) and \(2, 2\)"),
        ((torch.zeros(3), GOOD, torch.zeros(2), torch.eye(2)), "same features, got 3 and 2"),
        ((torch.tensor([0, 0, torch.nan]), GOOD, torch.zeros(3), GOOD), "mean must be finite"),
        ((torch.zeros(3), GOOD * torch.inf, torch.zeros(3), GOOD), "covariance must be finite"),
        ((torch.zeros(3), -GOOD, torch.zeros(3), GOOD), "eigenvalue of -1"),
        ((torch.zeros(3), GOOD + torch.ones(3, 3).triu(1), torch.zeros(3), GOOD), "must be symmetric"),
    ],
)
def test_errors_are_one_clear_line(arguments, message):
    with pytest.raises(ValueError, match=message) as raised:
        frechet_distance(*arguments)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("bad", "message"), [(torch.zeros(1, 3), "n >= 2"), (torch.full((4, 3), torch.nan), "features must be finite")]
)
def test_bad_features_are_an_error(bad, message):
    with pytest.raises(ValueError, match=message):
        frechet_distance_of_features(torch.randn(5, 3), bad)
