"""Appendix C and D of the LiBI paper as experiments: equal likelihood with any information, and codes of any scale."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Generator

from vae_lightning.data.processes import (
    CubicJTEx,
    Gaussian,
    LatentProcess,
    LinearJTEx,
    Rescaled,
    Univariate,
    rescaled_linear,
    rescaling_gain,
)


@pytest.mark.parametrize("nats", [0.0, 0.1, 1.0, 5.0, 12.0])
def test_equal_likelihood_with_any_information(nats: float) -> None:
    """And with the exact posterior among mean-field Gaussians: the ELBO cannot tell these worlds apart."""
    world, other = Univariate.telling(nats, 0.3), Univariate.telling(0.5, 0.3)
    assert float(world.mutual_information()) == pytest.approx(nats, abs=1e-4)
    assert float(world.covariance) == pytest.approx(0.3)
    assert float(world.shortfall(other)) == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize("nats", [-0.1, 13.0, math.inf])
def test_information_that_cannot_be(nats: float) -> None:
    with pytest.raises(ValueError, match="from 0 to 12"):
        Univariate.telling(nats)


@pytest.mark.parametrize("process", [LinearJTEx(), CubicJTEx(), Gaussian(), Univariate()], ids=repr)
@pytest.mark.parametrize("c", [0.7, 1.0, 1.5, 3.0])
def test_the_likelihood_of_codes_prefers_small_ones(process: LatentProcess, c: float) -> None:
    """The likelihood is unchanged; the prior's part grows by d (1 - c^-4) / 2, within 4 standard errors of 2000."""
    gain, d = rescaling_gain(process, c, 2000), process.latent_shape.numel()
    assert float(gain.log_likelihood) == pytest.approx(0, abs=1e-6)
    share = (1 - c**-4) / 2
    assert float(gain.log_joint) == pytest.approx(d * share, abs=4 * abs(share) * (2 * d / 2000) ** 0.5 + 1e-6)


def test_observations_are_the_same_and_codes_smaller() -> None:
    process = CubicJTEx()
    scaled = Rescaled(process, 1.5)
    (z, x), (small, same) = (world.sample_joint(50, Generator().manual_seed(0)) for world in (process, scaled))
    assert torch.equal(x, same)
    torch.testing.assert_close(small, z / 2.25)
    torch.testing.assert_close(scaled.decode(small), process.decode(z))
    assert torch.equal(scaled.log_prob(x), process.log_prob(x))
    _, many = Rescaled(LinearJTEx(), 2.0).sample_joint(20_000, Generator().manual_seed(1))
    codes = Rescaled(LinearJTEx(), 2.0).sample_joint(20_000, Generator().manual_seed(1))[0]
    error = 4 * (2 / 20_000) ** 0.5 / 16
    assert (codes.var(0) - 1 / 16).abs().max() < error  # c^-4: the source's 1 / c is a slip
    assert many.shape == (20_000, 2)


def test_but_from_its_prior_the_rescaled_model_generates_something_else() -> None:
    """N(0, c^4 W W' + S); the likelihood of the data falls."""
    truth = LinearJTEx()
    wide = rescaled_linear(truth, 1.5)
    torch.testing.assert_close(wide.covariance - wide.noise_variance.diag(), 1.5**4 * truth.weight @ truth.weight.T)
    z = torch.randn(4, 2, dtype=torch.float64)
    torch.testing.assert_close(wide.decode(z), Rescaled(truth, 1.5).decode(z))
    assert wide.expected_log_prob(truth) < truth.expected_log_prob(truth) - 0.5


def test_c_is_positive() -> None:
    with pytest.raises(ValueError, match="c must be positive and finite"):
        Rescaled(LinearJTEx(), 0.0)
