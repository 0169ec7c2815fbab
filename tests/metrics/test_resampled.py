"""q_EW on the model of the goldens with q = N(0.5, 0.8^2): quadrature over z and over the other sample."""

import math

import pytest
import torch
import torch.distributions as td
from support.gaussian_world import EVIDENCE, POSTERIOR, WIDE
from torch import Tensor

from vae_lightning.metrics.functional import resample, resampled_log_prob

BOUND_2 = -2.689838922658203
Q = td.Normal(*(torch.tensor(value, dtype=torch.float64) for value in WIDE))
Z = torch.linspace(-7, 8, 3001, dtype=torch.float64)
CELL = (Z[1] - Z[0]).item()


def log_joint(z: Tensor) -> Tensor:
    x, variance = 2.0, 0.5
    likelihood = -0.5 * (x - 1.5 * z).square() / variance - 0.5 * math.log(2 * math.pi * variance)
    return likelihood - 0.5 * z.square() - 0.5 * math.log(2 * math.pi)


def log_weight(z: Tensor) -> Tensor:
    return log_joint(z) - Q.log_prob(z)


def quantiles(number: int) -> Tensor:
    """Points of equal weight under q: a rule of quadrature whose average is the expectation."""
    return Q.icdf((torch.arange(number, dtype=torch.float64) + 0.5) / number)


def test_two_samples() -> None:
    """It integrates to one, and its ELBO exceeds L_2: it does not equal it."""
    density = resampled_log_prob(log_joint(Z), log_weight(Z), log_weight(quantiles(2000))[None])
    assert (density.exp().sum() * CELL).item() == pytest.approx(1, abs=2e-5)
    elbo = (density.exp() * (log_joint(Z) - density)).sum() * CELL
    assert elbo.item() == pytest.approx(-2.498516211200515, abs=2e-4)
    assert elbo > BOUND_2 + 0.19


def test_what_equals_the_bound_is_the_mean_over_unnormalised_densities() -> None:
    """E_{z_2} of the integral of q_IW log(p / q_IW), with one replicate for each z_2, is L_2."""
    others = log_weight(quantiles(1000))
    densities = torch.stack([resampled_log_prob(log_joint(Z), log_weight(Z), w.view(1, 1)) for w in others])
    terms = (densities.exp() * (log_joint(Z) - densities)).sum(1) * CELL
    assert terms.mean().item() == pytest.approx(BOUND_2, abs=1e-3)
    assert (densities.exp().sum(1) * CELL).std() > 0.1  # each is far from normalised


def test_one_sample_is_the_posterior_itself() -> None:
    density = resampled_log_prob(log_joint(Z), log_weight(Z), torch.zeros(0, 1, dtype=torch.float64))
    torch.testing.assert_close(density, Q.log_prob(Z))


def test_approaches_the_true_posterior() -> None:
    torch.manual_seed(0)
    truth = td.Normal(*(torch.tensor(value, dtype=torch.float64) for value in POSTERIOR)).log_prob(Z)
    distances = []
    for k in (1, 5, 50, 500):
        others = log_weight(Q.sample(torch.Size([k - 1, 400])))
        density = resampled_log_prob(log_joint(Z), log_weight(Z), others)
        distances.append((0.5 * (density.exp() - truth.exp()).abs().sum() * CELL).item())
    assert distances == sorted(distances, reverse=True)
    assert distances[0] > 0.4
    assert distances[-1] < 0.01
    density = density - (density.exp().sum() * CELL).log()  # an average over 400 replicates integrates to nearly one
    elbo = (density.exp() * (log_joint(Z) - density)).sum() * CELL
    assert EVIDENCE - 1e-3 < elbo < EVIDENCE


@pytest.mark.parametrize("k", [1, 2, 10])
def test_samples_have_that_density(k: int) -> None:
    """The first two moments of 100,000 draws against quadrature, within 4 standard errors."""
    torch.manual_seed(k)
    number = 100_000
    candidates = Q.sample(torch.Size([k, number]))
    z = resample(candidates[..., None], log_weight(candidates))[:, 0]
    assert z.shape == (number,)
    replicates = log_weight(Q.sample(torch.Size([k - 1, 4000])))
    density = resampled_log_prob(log_joint(Z), log_weight(Z), replicates).exp() * CELL
    for power in (1, 2):
        values = z**power
        assert abs(values.mean() - (density * Z**power).sum()) < 4 * values.std() * math.sqrt(1 / number + 1 / 4000)


def test_no_weight_no_sample() -> None:
    weights = torch.tensor([[-math.inf, 3.0], [0.0, -math.inf]])
    z = torch.tensor([[[1.0], [2.0]], [[3.0], [4.0]]])
    assert all(resample(z, weights).flatten().tolist() == [3.0, 2.0] for _ in range(50))


def test_bad_input() -> None:
    with pytest.raises(ValueError, match=r"K >= 1; got \(0, 3, 1\)"):
        resample(torch.zeros(0, 3, 1), torch.zeros(0, 3))
    with pytest.raises(ValueError, match=r"R >= 1, got \(4, 0\)"):
        resampled_log_prob(torch.zeros(2), torch.zeros(2), torch.zeros(4, 0))
