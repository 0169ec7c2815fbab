"""Processes against scipy and reference values: their density, their samples, their quadrature."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import stats

from vae_lightning.data.processes import GaussianMixture

NEGATIVE_ENTROPY = -3.649900548  # of the default mixture, by two quadrature rules that agree to 2e-9


@pytest.fixture
def process() -> GaussianMixture:
    return GaussianMixture(centers=[[0.0, 1.0], [-2.0, 0.5], [1.5, -1.0]], sigma=0.7)


def test_the_density_is_scipys(process: GaussianMixture) -> None:
    x = torch.randn(50, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    densities = [stats.multivariate_normal(center, 0.7**2).pdf(x) for center in process.centers.numpy()]
    np.testing.assert_allclose(process.log_prob(x), np.log(np.mean(densities, 0)), rtol=1e-12)
    np.testing.assert_allclose(process.posterior(x), (densities / np.sum(densities, 0)).T, rtol=1e-10)


def test_any_batch_shape(process: GaussianMixture) -> None:
    x = torch.zeros(4, 5, 2)
    assert process.log_prob(x).shape == (4, 5)
    assert process.posterior(x).shape == (4, 5, 3)
    assert process.log_prob(x).dtype == torch.float32


def test_samples_have_the_mixtures_moments(process: GaussianMixture) -> None:
    x = process.sample(100_000, torch.Generator().manual_seed(1)).double()
    mean = process.centers.mean(0)
    second = process.centers.T @ process.centers / 3 + 0.49 * torch.eye(2)
    products = x[:, :, None] * x[:, None, :]
    for drawn, expected in ((x, mean), (products, second)):
        error = drawn.std(0) / len(x) ** 0.5
        assert ((drawn.mean(0) - expected).abs() < 4 * error).all()


def test_samples_are_a_function_of_the_generator(process: GaussianMixture) -> None:
    first, again, other = (process.sample(5, torch.Generator().manual_seed(seed)) for seed in (3, 3, 4))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_components_are_codes_with_the_first_bit_slowest() -> None:
    middle, *_, far_right = GaussianMixture().centers.tolist()
    assert middle == [-0.2, 0.3]  # 00
    assert far_right == [2.3, 1.2]  # 11


@pytest.mark.parametrize("spacing", [0.5, 0.1])
def test_quadrature_of_the_default_mixture_has_converged(spacing: float) -> None:
    process = GaussianMixture()
    x, weights = process.quadrature(spacing)
    assert float(weights @ process.log_prob(x)) == pytest.approx(NEGATIVE_ENTROPY, abs=1e-8)


def test_quadrature_has_the_mixtures_moments_in_any_dimension() -> None:
    process = GaussianMixture([[0.0], [3.0]], sigma=0.5)
    x, weights = process.quadrature()
    assert float(weights @ x[:, 0]) == pytest.approx(1.5)
    assert float(weights @ x[:, 0] ** 2) == pytest.approx(4.5 + 0.25)
    assert float(weights @ (x[:, 0] > 1.5).double()) == pytest.approx(0.5, abs=0.01)


@pytest.mark.parametrize(
    ("centers", "sigma", "message"),
    [
        ([], 1.0, "centers"),
        ([[0.0, 1.0], [2.0]], 1.0, "same dimension"),
        ([[0.0]], 0.0, "sigma is a standard deviation"),
    ],
)
def test_bad_mixtures_say_what_is_wrong(centers: list[list[float]], sigma: float, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        GaussianMixture(centers, sigma)


@pytest.mark.parametrize(("spacing", "message"), [(0.0, "must be positive"), (0.001, "choose a larger spacing")])
def test_a_grid_that_cannot_be_is_refused(spacing: float, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        GaussianMixture().quadrature(spacing)
