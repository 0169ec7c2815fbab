"""Theorem 1 and Corollary 2: a harmonium is a tight VAE, and the VAEs that are not say why."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from support.consistency_goldens import COROLLARY_2
from support.consistency_worlds import bits, curved_world, table
from support.harmoniums import documents, load, random_harmonium
from torch import Tensor

from vae_lightning.conditional import Conditional
from vae_lightning.consistency import (
    HarmoniumPrior,
    best_factorised,
    harmonium_of,
    harmonium_with,
    log_joint,
    nearest_harmonium,
    sides,
    tight_vae,
    tightness,
)
from vae_lightning.data.processes import GaussianMixture
from vae_lightning.estimators import Enumerated
from vae_lightning.families import Bernoulli, BernoulliMRF, Categorical, Multinomial, Normal
from vae_lightning.harmonium import Harmonium
from vae_lightning.latent_variable import LatentVariableModel
from vae_lightning.nn import MLP
from vae_lightning.objectives import ELBO
from vae_lightning.priors import FactorisedPrior

FOUR_WORDS = Multinomial(3).given(torch.tensor(4.0))
PAIRS = {
    "bits and bits": (Bernoulli(3), Bernoulli(2), bits(3)),
    "Gaussians and bits": (Normal(2, scale=0.7), Bernoulli(2), torch.randn(9, 2, dtype=torch.float64)),
    "Gaussians of free variance": (Normal(2), Bernoulli(2), torch.randn(9, 2, dtype=torch.float64)),
    "bits and dependent bits": (Bernoulli(3), BernoulliMRF(1, 2), bits(3)),
    "bits and one choice": (Bernoulli(3), Categorical(3), bits(3)),
    "one choice and bits": (Categorical(3), Bernoulli(2), torch.eye(3, dtype=torch.float64)),
    "documents of four words": (FOUR_WORDS, Bernoulli(2), torch.tensor([[4.0, 0, 0], [1, 2, 1]])),
}  # fmt: skip


@pytest.mark.parametrize("pair", PAIRS.values(), ids=PAIRS.keys())
def test_the_tight_vae_is_the_harmonium(pair: Any) -> None:
    visible, hidden, x = pair
    harmonium, x = random_harmonium(visible, hidden), x.double()
    model = tight_vae(harmonium)
    assert tightness(model, x).largest_deviation < 1e-12
    log_p = log_joint(model, x).logsumexp(0)
    torch.testing.assert_close(log_p, harmonium.log_prob(x).detach())
    torch.testing.assert_close(ELBO(Enumerated())(model, x).detach(), log_p)
    if isinstance(visible, Bernoulli):  # all x there are
        assert float(log_p.exp().sum()) == pytest.approx(1)


@pytest.mark.parametrize("pair", PAIRS.values(), ids=PAIRS.keys())
def test_and_back(pair: Any) -> None:
    """Where statistics are redundant the parameters may differ, but not the model."""
    visible, hidden, x = pair
    harmonium, x = random_harmonium(visible, hidden), x.double()
    found = harmonium_of(tight_vae(harmonium))
    torch.testing.assert_close(found.log_prob(x), harmonium.log_prob(x))
    torch.testing.assert_close(log_joint(tight_vae(found), x), log_joint(tight_vae(harmonium), x), rtol=1e-9, atol=1e-9)
    if isinstance(visible, Bernoulli) and isinstance(hidden, Bernoulli):
        for name, value in harmonium.named_parameters():
            torch.testing.assert_close(found.get_parameter(name), value)
        projected = nearest_harmonium(tight_vae(harmonium), x)
        torch.testing.assert_close(projected.harmonium.weight, harmonium.weight)
        assert projected.squared_error.max() < 1e-24


def test_gaussian_codes_of_binary_observations() -> None:
    """The prior is a mixture of Gaussians, one for each x: sampled exactly, without listing z."""
    harmonium = random_harmonium(Bernoulli(2), Normal(1, scale=1.0), scale=1.5)
    prior = HarmoniumPrior(harmonium)()
    grid = torch.linspace(-12, 12, 4001, dtype=torch.float64)[:, None]
    density = prior.log_prob(grid).exp().detach()
    assert float(torch.trapezoid(density, grid[:, 0])) == pytest.approx(1, abs=1e-9)
    torch.manual_seed(0)
    z = prior.sample(torch.Size([20_000]))
    assert z.shape == (20_000, 1)
    mean = float(torch.trapezoid(density * grid[:, 0], grid[:, 0]))
    assert abs(float(z.mean()) - mean) < 4 * float(z.std()) / 20_000**0.5
    found = harmonium_of(tight_vae(harmonium))
    for name, value in harmonium.named_parameters():
        torch.testing.assert_close(found.get_parameter(name), value)


def test_the_priors_samples_are_those_of_the_harmonium() -> None:
    prior = HarmoniumPrior(random_harmonium(Bernoulli(3), Bernoulli(2), scale=1.0))().expand((2,))
    torch.manual_seed(0)
    drawn = prior.sample(torch.Size([10_000])).flatten(0, 1) @ torch.tensor([2.0, 1.0]).double()
    expected = prior.log_prob(bits(2)).exp().detach()
    found = drawn.long().bincount(minlength=4) / 20_000
    assert ((found - expected).abs() < 4 * (expected * (1 - expected) / 20_000).sqrt()).all()


def test_sampled_in_chunks_it_is_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    prior, drawn = HarmoniumPrior(random_harmonium(Bernoulli(9), Bernoulli(6)))(), []
    for elements in (2**22, 60):  # all codes at once, four at a time
        monkeypatch.setattr(sides, "_MAX_ELEMENTS", elements)
        torch.manual_seed(0)
        drawn.append(prior.sample(torch.Size([100])))
    assert torch.equal(*drawn)


def test_too_many_values_to_sum_over() -> None:
    model = tight_vae(random_harmonium(Bernoulli(30), Bernoulli(25)))
    for use in (lambda: model.prior().sample(), lambda: harmonium_of(model)):
        with pytest.raises(ValueError, match=r"Bernoulli\(\(25,\)\) or of .*2\^20; here 2\^25: use harmonium.gibbs"):
            use()
    with pytest.raises(ValueError, match=r"here 2\^25 values, the limit is 2\^20; use annealed_log_partition"):
        model.prior().log_prob(torch.zeros(25).double())
    reals = Harmonium(Normal(2), Multinomial(3).given(torch.tensor(2.0)))
    with pytest.raises(ValueError, match="neither can be listed"):
        tight_vae(reals).prior().sample()


def test_what_is_not_consistent_says_in_which_part() -> None:
    with pytest.raises(ValueError, match="decoder's natural parameters are not W S"):
        harmonium_of(curved_world(1.0))
    with pytest.raises(ValueError, match="encoder is not W"):  # linear decoder, but a prior that it does not fit
        harmonium_of(curved_world(0.0))
    harmonium = random_harmonium(Bernoulli(3), Bernoulli(2))
    model = tight_vae(harmonium)
    model.prior = FactorisedPrior(Bernoulli(2)).double()
    with pytest.raises(ValueError, match=r"prior is not h\(z\) exp"):
        harmonium_of(model)
    model = tight_vae(harmonium)
    model.encoder = table(Bernoulli(2), torch.randn(8, 2), 3)
    with pytest.raises(ValueError, match="encoder is not W"):
        harmonium_of(model)
    free = LatentVariableModel(
        Conditional(Normal(1), (3,), MLP), Conditional(Bernoulli(3), (1,), MLP), FactorisedPrior(Normal(1))
    )
    with pytest.raises(ValueError, match="is not consistent"):
        harmonium_of(free)


def test_documents_need_their_length() -> None:
    model = tight_vae(random_harmonium(Multinomial(3), Bernoulli(2)))
    with pytest.raises(ValueError, match=r"use given\(total\)"):
        model.prior().log_prob(bits(2))


def test_linear_documents_under_a_uniform_prior_have_no_factorised_posterior() -> None:
    """The decoder of an RBM of four-word documents: no encoder of independent bits comes nearer than 0.0101 nats."""
    g = np.random.default_rng(3)
    model = load(
        Harmonium(Multinomial(5).given(torch.tensor(4.0).double()), Bernoulli(3)),
        g.normal(0, 0.7, (5, 3)), g.normal(0, 0.5, 5), g.normal(0, 0.5, 3),
    )  # fmt: skip
    vae, x = tight_vae(model), documents(4, 5)
    vae.prior = FactorisedPrior(Bernoulli(3)).double()
    joint = log_joint(vae, x)
    log_p = joint.logsumexp(0)
    assert float(log_p.exp().sum()) == pytest.approx(1)
    log_q = torch.nn.functional.logsigmoid((2 * bits(3) - 1)[:, None] * best_factorised(joint)).sum(-1)
    gap = log_p - (log_q.exp() * (joint - log_q)).sum(0)
    assert float(log_p.exp() @ gap) == pytest.approx(0.010147853400573056, abs=1e-11)
    with pytest.raises(ValueError, match=r"prior is not h\(z\) exp"):
        harmonium_of(vae)


def test_an_uncoupled_vae_with_a_fixed_prior_is_consistent() -> None:
    """W = 0, full posterior collapse: the one case in which any prior does."""
    logits = torch.tensor([[0.3, -1.0, 0.5]], dtype=torch.float64)
    encoder, decoder = table(Bernoulli(2), torch.zeros(8, 2), 3), table(Bernoulli(3), logits.expand(4, 3), 2)
    found = harmonium_of(LatentVariableModel(encoder, decoder, FactorisedPrior(Bernoulli(2))).double())
    assert found.weight.abs().max() < 1e-12
    torch.testing.assert_close(found.a, logits[0], rtol=1e-12, atol=1e-12)


def gaussian_decoder(centers: Tensor) -> LatentVariableModel:
    """Two uniform bits and a plane, p(x | z) = N(center of z, I); an encoder of any kind."""
    decoder = table(Normal(2, scale=1.0), centers, 2)
    return LatentVariableModel(Conditional(Bernoulli(2), (2,), MLP), decoder, FactorisedPrior(Bernoulli(2))).double()


def elbo_and_likelihood(model: LatentVariableModel, process: GaussianMixture) -> tuple[float, float]:
    """E over the process of the ELBO with the best factorised encoder, and of log p(x)."""
    x, weights = process.quadrature(0.2)
    joint = log_joint(model, x)
    log_q = torch.nn.functional.logsigmoid((2 * bits(2) - 1)[:, None] * best_factorised(joint)).sum(-1)
    elbo = (log_q.exp() * (joint - log_q)).sum(0)
    return float(weights @ elbo), float(weights @ joint.logsumexp(0))


@pytest.mark.parametrize("row", COROLLARY_2, ids=["parallelogram", "rectangle"])
def test_corollary_2_under_a_fixed_prior(row: dict[str, Any]) -> None:
    """An affine decoder: zero error if its centers make a rectangle, else the ELBO pulls them towards one."""
    u, v = (torch.tensor(row[side], dtype=torch.float64) for side in "uv")
    truth = torch.stack([torch.zeros(2).double(), v, u, u + v])
    process = GaussianMixture(truth.tolist())
    at_truth = elbo_and_likelihood(gaussian_decoder(truth), process)
    assert at_truth == pytest.approx((row["elbo_at_gt"], row["ll_ml"]), abs=2e-6)
    middle = truth.mean(0)  # the goldens' optimum has its centre at the origin
    centers = torch.tensor(row["centers_opt"], dtype=torch.float64) + middle
    at_optimum = elbo_and_likelihood(gaussian_decoder(centers), process)
    assert at_optimum == pytest.approx((row["elbo_opt"], row["ll_at_elbo_opt"]), abs=2e-6)
    assert at_truth[1] - at_optimum[1] == pytest.approx(row["approx_error"], abs=2e-6)
    assert at_optimum[1] - at_optimum[0] == pytest.approx(row["gap_at_opt"], abs=2e-6)


def test_the_linear_decoder_of_item_9_with_the_prior_it_needs() -> None:
    """p(z) ~ exp(<v, z> + A(f(z))) and g(x) = W^T x + v, for any v; with the uniform prior it is not even tight."""
    decoder = curved_world(0.0).decoder
    for v in ([0.0, 0.0], [0.7, -0.4]):
        model = tight_vae(harmonium_with(decoder, Bernoulli(2), torch.tensor(v)))
        torch.testing.assert_close(model.decoder.natural_parameters(bits(2)), decoder.natural_parameters(bits(2)))
        assert tightness(model, bits(3)).largest_deviation < 1e-12
    assert tightness(curved_world(0.0), bits(3)).epsilon > 1e-4


def test_corollary_2_holds_where_the_prior_follows_the_decoder() -> None:
    """The same parallelogram, with the prior of its harmonium: no gap, whatever the hidden bias."""
    u, v = torch.tensor([2.5, 0.0]).double(), torch.tensor([1.5, 2.0]).double()
    decoder = gaussian_decoder(torch.stack([torch.zeros(2).double(), v, u, u + v])).decoder
    x = torch.randn(50, 2, dtype=torch.float64)
    for bias in (None, torch.tensor([0.5, -2.0])):
        model = tight_vae(harmonium_with(decoder, Bernoulli(2), bias))
        torch.testing.assert_close(model.decoder(bits(2)).mean, decoder(bits(2)).mean)
        assert tightness(model, x).epsilon < 1e-14
    # that prior is uniform only for a rectangle: with the biases that would make it so, u + v has nearly all of it
    fitted = torch.tensor([-u @ u / 2, -v @ v / 2])
    prior = tight_vae(harmonium_with(decoder, Bernoulli(2), fitted)).prior()
    assert prior.log_prob(bits(2)).exp()[3] > 0.9
    with pytest.raises(ValueError, match="decoder's natural parameters are not"):
        harmonium_with(curved_world(1.0).decoder, Bernoulli(2))
