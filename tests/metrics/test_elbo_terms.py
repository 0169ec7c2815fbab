"""ELBOTerms against closed forms: a linear Gaussian model with any q, and bits."""

from __future__ import annotations

import math

import pytest
import torch
from support.gaussian_world import NARROW, POSTERIOR, PRIOR, WIDE, twos, world

from vae_lightning.distributions import as_bits
from vae_lightning.families import Bernoulli
from vae_lightning.metrics import ELBOTerms


@pytest.mark.parametrize("q", [POSTERIOR, WIDE, PRIOR, NARROW], ids=["posterior", "wide", "prior", "narrow"])
def test_gaussian_energy_and_entropy(q: tuple[float, float]) -> None:
    """At 2,000 quantiles of q, scaled to its variance, quadratics have their exact means: both terms in closed form."""
    mean, sigma = q
    entropy = 0.5 * math.log(2 * math.pi * math.e * sigma**2)
    prior = -0.5 * (math.log(2 * math.pi) + mean**2 + sigma**2)
    likelihood = -0.5 * (math.log(math.pi) + ((2 - 1.5 * mean) ** 2 + 1.5**2 * sigma**2) / 0.5)
    quantiles = torch.distributions.Normal(0.0, 1.0).icdf((torch.arange(2000).double() + 0.5) / 2000)
    quantiles /= quantiles.square().mean().sqrt()
    model, x = world(*q), twos(3)
    draw = model.draw(x, model.encoder(x), (mean + sigma * quantiles)[:, None, None].expand(-1, 3, 1))
    terms = ELBOTerms()
    terms.update(draw.log_likelihood, draw.log_prior, draw.log_posterior)
    found = {name: value.item() for name, value in terms.compute().items()}
    assert found["entropy"] == pytest.approx(entropy, abs=1e-9)
    assert found["negative_energy"] == pytest.approx(prior + likelihood, abs=1e-9)
    assert found["reconstruction"] == pytest.approx(-likelihood, abs=1e-9)
    assert found["negative_energy"] + found["entropy"] == pytest.approx(draw.log_weight.mean().item(), abs=1e-9)
    assert found["entropy_error"] == pytest.approx(0, abs=1e-9)  # the three observations are alike


def test_entropy_of_bits() -> None:
    """sum_j H(p_j), the mean over 200 observations of 400 samples each: within 4 standard errors."""
    torch.manual_seed(0)
    q = Bernoulli(5).distribution(torch.randn(200, 5))
    bits = as_bits(q)
    assert bits is not None
    exact = bits.entropy().sum(-1).double()
    z = q.sample((400,))
    log_posterior, terms = q.log_prob(z), ELBOTerms()
    for rows in torch.arange(200).split(70):
        zeros = torch.zeros(400, len(rows))
        terms.update(zeros, zeros, log_posterior[:, rows])
    found = terms.compute()
    error = (log_posterior.var(0) / 400).mean().sqrt() / math.sqrt(200)
    assert abs(found["entropy"] - exact.mean()) < 4 * error
    spread = exact.std() / math.sqrt(200)  # of the observations, which the samples add little to
    assert found["entropy_error"].item() == pytest.approx(spread.item(), rel=0.02)
