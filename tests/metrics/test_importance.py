"""Importance-weighted bounds on a Gaussian model whose evidence is known: z ~ N(0, 1), x | z ~ N(1.5 z, 0.5), x = 2."""

import itertools
import math

import pytest
import torch
import torch.distributions as td
from torch import Tensor

from vae_lightning.metrics.functional import (
    effective_sample_size,
    importance_weighted_bound,
    importance_weighted_variance,
    jackknife_bound,
    mean_over_data,
)

EVIDENCE = -2.1520117163166397
POSTERIOR = (12 / 11, (2 / 11) ** 0.5)
WIDE, PRIOR, NARROW = (0.5, 0.8), (0.0, 1.0), (12 / 11, 0.2)


def normal(mean: Tensor | float, sigma: float) -> td.Normal:
    return td.Normal(torch.as_tensor(mean, dtype=torch.float64), torch.tensor(sigma, dtype=torch.float64))


def log_weights(q: tuple[float, float], samples: int, batch: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    mean, sigma = q
    z = mean + sigma * torch.randn(samples, batch, generator=generator, dtype=torch.float64)
    likelihood = normal(1.5 * z, 0.5**0.5).log_prob(torch.tensor(2.0))
    return likelihood + normal(0, 1).log_prob(z) - normal(mean, sigma).log_prob(z)


@pytest.mark.parametrize(
    ("q", "samples", "truth", "truth_error"),
    [
        (WIDE, 1, -3.7430084942, 0),  # closed forms, then quadrature, then long Monte Carlo runs with their errors
        (PRIOR, 1, -6.8223649429, 0),
        (NARROW, 1, -2.5190755826, 0),
        (WIDE, 2, -2.689838922658203, 0),
        (PRIOR, 2, -3.979814719120641, 0),
        (WIDE, 5, -2.2835170, 2.08e-4),
        (PRIOR, 5, -2.5976440, 4.61e-4),
        (NARROW, 5, -2.3774319, 1.62e-4),
        (WIDE, 50, -2.1616604, 1.58e-4),
        (PRIOR, 50, -2.1760919, 2.51e-4),
        (NARROW, 50, -2.2528442, 3.47e-4),
        (WIDE, 5000, -2.1521782, 1.57e-4),
        (PRIOR, 5000, -2.1520544, 2.43e-4),
    ],
)
def test_bound_has_the_known_mean(q, samples, truth, truth_error):
    estimate = mean_over_data(importance_weighted_bound(log_weights(q, samples, batch=max(200, 400_000 // samples))))
    assert estimate.standard_error < 0.02
    assert abs(estimate.mean - truth) < 4 * math.hypot(estimate.standard_error.item(), truth_error)


@pytest.mark.parametrize("samples", [1, 5, 50])
def test_the_exact_posterior_gives_the_evidence_for_every_sample(samples):
    bound = importance_weighted_bound(log_weights(POSTERIOR, samples, 100))
    torch.testing.assert_close(bound, torch.full_like(bound, EVIDENCE), rtol=1e-9, atol=0)


@pytest.mark.parametrize("q", [WIDE, PRIOR, NARROW])
def test_rises_with_the_number_of_samples(q):
    # the same samples in ever larger groups: Jensen's inequality orders the averages without any error bar
    weights = log_weights(q, 64, 500)
    bounds = [
        importance_weighted_bound(weights.view(64 // k, k, 500).movedim(1, 0)).mean().item() for k in (1, 2, 4, 16, 64)
    ]
    assert all(low < high for low, high in itertools.pairwise(bounds))
    assert bounds[-1] < EVIDENCE + 0.05


def test_jackknife_leaves_out_one_at_a_time():
    weights = log_weights(WIDE, 7, 5)
    without = [importance_weighted_bound(weights[[j for j in range(7) if j != k]]) for k in range(7)]
    expected = 7 * importance_weighted_bound(weights) - 6 * torch.stack(without).mean(0)
    torch.testing.assert_close(jackknife_bound(weights), expected, rtol=1e-12, atol=0)


def test_jackknife_survives_one_dominating_weight():
    weights = torch.tensor([[0.0], [-800.0], [-801.0]])
    without = torch.tensor([-800 + math.log((1 + math.exp(-1)) / 2), -math.log(2), -math.log(2)])
    assert jackknife_bound(weights).item() == pytest.approx(-3 * math.log(3) - 2 * without.mean().item(), rel=1e-6)


@pytest.mark.parametrize("q", [WIDE, PRIOR])
def test_jackknife_removes_most_of_the_bias(q):
    weights = log_weights(q, 50, 20_000)
    plain, corrected = mean_over_data(importance_weighted_bound(weights)), mean_over_data(jackknife_bound(weights))
    assert EVIDENCE - plain.mean > 4 * plain.standard_error
    assert abs(corrected.mean - EVIDENCE) < 4 * corrected.standard_error + 0.2 * (EVIDENCE - plain.mean)


def test_effective_sample_size():
    assert effective_sample_size(torch.zeros(9, 2)).tolist() == pytest.approx([9, 9])
    assert effective_sample_size(torch.tensor([[500.0], [-500.0], [-500.0]])).item() == pytest.approx(1)
    weights = torch.tensor([1.0, 2, 3, 4])
    assert effective_sample_size(weights.log()[:, None]).item() == pytest.approx(100 / 30)


def test_the_variance_of_many_samples_is_the_spread_of_the_bound():
    weights = log_weights(WIDE, 500, 4000)
    spread = importance_weighted_bound(weights).var()
    # the relative error of a variance of 4000 values is sqrt(2 / 4000)
    assert importance_weighted_variance(weights).mean() / spread == pytest.approx(1, abs=4 * (2 / 4000) ** 0.5)


@pytest.mark.parametrize("deviation", [0.5, 1.0, 1.5, 3.0])
@pytest.mark.parametrize("k", [2, 3, 5, 20, 100])
def test_the_error_of_few_samples_holds(k: int, deviation: float) -> None:
    """20,000 repetitions of k log-normal weights: never below the true deviation of L_k, and little above it."""
    generator = torch.Generator().manual_seed(k)
    weights = deviation * torch.randn(k, 20_000, generator=generator, dtype=torch.float64)
    squares = (importance_weighted_bound(weights) - importance_weighted_bound(weights).mean()).square()
    true, claimed = mean_over_data(squares), mean_over_data(importance_weighted_variance(weights))
    ratio = float(claimed.mean / true.mean)
    error = 4 * ratio * float((true.standard_error / true.mean).hypot(claimed.standard_error / claimed.mean))
    assert 1 - error < ratio < 1.15 * k / (k - 1) + error
    assert error < 0.25


@pytest.mark.parametrize("deviation", [0.5, 3.0])
def test_the_variance_of_two_samples_is_on_average_that_of_one(deviation: float) -> None:
    """What Efron and Stein's inequality bounds, the variance of L_{k - 1}, is met exactly by k = 2."""
    weights = deviation * torch.randn(2, 20_000, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    found = mean_over_data(importance_weighted_variance(weights))
    assert abs(found.mean - deviation**2) < 4 * found.standard_error


def test_the_variance_of_weights_of_any_size() -> None:
    weights = torch.tensor([[0.0, 0.0, 1e4, -torch.inf], [-torch.inf, 0.0, 0.0, -torch.inf]])
    lone, equal, one_counts, none = importance_weighted_variance(weights).tolist()
    assert lone == math.inf  # without the only weight there is none
    assert (equal, one_counts) == pytest.approx((0, 1e8 / 2))
    assert math.isnan(none)
    far = log_weights(WIDE, 50, 100)
    torch.testing.assert_close(importance_weighted_variance(far - 1e6), importance_weighted_variance(far))


def test_error_of_a_mean_over_data():
    estimate = mean_over_data(torch.tensor([1.0, 2.0, 3.0, 6.0]))
    assert estimate.mean == 3
    assert estimate.standard_error.item() == pytest.approx((14 / 3 / 4) ** 0.5)
    assert mean_over_data(torch.ones(1)).standard_error.isnan()


def test_any_size_of_weight_and_gradients():
    assert importance_weighted_bound(torch.tensor([[-1e4], [-1e4]])).item() == -1e4
    assert importance_weighted_bound(torch.tensor([[1e4], [-torch.inf]])).item() == pytest.approx(1e4 - math.log(2))
    weights = log_weights(WIDE, 4, 3).requires_grad_()
    importance_weighted_bound(weights).sum().backward()
    torch.testing.assert_close(weights.grad, weights.detach().softmax(0))


@pytest.mark.parametrize(
    ("function", "samples"),
    [
        (importance_weighted_bound, 0),
        (effective_sample_size, 0),
        (jackknife_bound, 1),
        (importance_weighted_variance, 1),
    ],
)
def test_too_few_samples_are_an_error(function, samples):
    with pytest.raises(ValueError, match=rf"S >= {samples + 1} samples, got shape \({samples}, 3\): raise K"):
        function(torch.zeros(samples, 3))


def test_a_mean_over_no_data_is_an_error():
    with pytest.raises(ValueError, match="N >= 1"):
        mean_over_data(torch.zeros(0))
