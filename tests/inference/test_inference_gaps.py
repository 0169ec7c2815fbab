"""The two gaps on linear-Gaussian worlds, where both are closed forms, and on bits, where they are enumerated."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
import torch.distributions as td
from support.models import hashing, newsgroups
from torch import Tensor

from vae_lightning.counts import Counts
from vae_lightning.data.processes import LinearGaussian
from vae_lightning.estimators import LeaveOneOut, Reparameterised
from vae_lightning.families import Normal
from vae_lightning.inference.inference_gaps import FreePosterior, inference_gaps
from vae_lightning.models import VAE
from vae_lightning.nn import MLP
from vae_lightning.objectives import ELBO, Inflated
from vae_lightning.priors import FactorisedPrior

TRUTH = LinearGaussian(torch.tensor([[1.0, 0.5], [0.8, 1.0], [0.3, 1.2]]).double(), torch.ones(3).double())


def model(seed: int = 0, scale: float | None = None) -> VAE:
    """The true decoder with an encoder of no training."""
    torch.manual_seed(seed)
    prior = FactorisedPrior(Normal(2))
    module = VAE(Normal(2, scale), Normal(3, scale=1.0), MLP, MLP, ELBO(Reparameterised()), prior)
    with torch.no_grad():
        output = module.model.decoder.network.output
        output.weight.copy_(TRUTH.weight)
        output.bias.zero_()
    return module.eval()


def with_best_encoder() -> VAE:
    """The encoder emits (mean, log sigma) of the mean-field posterior."""
    module, best = model(), TRUTH.mean_field()
    with torch.no_grad():
        output = module.model.encoder.network.output
        output.weight.copy_(torch.cat((best.weight, torch.zeros(2, 3))))
        output.bias.copy_(torch.cat((torch.zeros(2), 0.5 * best.variance.log())))
    return module


def exact_amortisation_gap(module: VAE, x: Tensor) -> Tensor:
    """KL(q_phi || p(z|x)) minus its least value over mean-field Gaussians."""
    q = module.model.encoder(x).base_dist
    q = td.MultivariateNormal(q.loc.double(), torch.diag_embed(q.scale.double().square()))
    return (td.kl_divergence(q, TRUTH.posterior(x)) - TRUTH.posterior_gap()).detach()


def test_gaps_of_an_untrained_encoder() -> None:
    """Within 4 standard errors plus 2e-3 nat of optimisation, of the mean and for almost every observation."""
    module, x = model(), TRUTH.sample(200, torch.Generator().manual_seed(1))
    gaps = inference_gaps(module.model, x, num_samples=2000)
    approximation, amortisation = gaps.approximation, gaps.amortisation - exact_amortisation_gap(module, x)
    error = approximation.std() / math.sqrt(200)
    assert abs(approximation.mean() - TRUTH.posterior_gap()) < 4 * error + 2e-3
    assert abs(amortisation.mean()) < 4 * amortisation.std() / math.sqrt(200) + 2e-3
    assert abs(gaps.log_likelihood.mean() - TRUTH.log_prob(x).double().mean()) < 4 * error + 2e-3
    assert (gaps.amortisation > 0).all()
    assert gaps.amortisation.mean() > 1
    torch.testing.assert_close(gaps.approximation + gaps.amortisation, gaps.log_likelihood - gaps.amortised)


def test_the_best_encoder_has_no_amortisation_gap() -> None:
    """And its observations keep their posterior, or one as good: no difference is below the noise of the choice."""
    x = TRUTH.sample(100, torch.Generator().manual_seed(1))
    gaps = inference_gaps(with_best_encoder().model, x, num_samples=2000)
    assert abs(gaps.amortisation.mean()) < 2e-3
    assert gaps.amortisation.min() > -0.02
    assert abs(gaps.approximation.mean() - TRUTH.posterior_gap()) < 4 * gaps.approximation.std() / 10 + 2e-3


def test_a_scale_that_is_known_is_not_fitted() -> None:
    """The best q of deviation 0.3 has the posterior's mean; most observations are near enough to get there."""
    x = TRUTH.sample(20, torch.Generator().manual_seed(1))
    gaps = inference_gaps(model(scale=0.3).model, x, num_samples=4000, proposal=Inflated(4.0))
    truth = TRUTH.posterior(x)
    best = td.MultivariateNormal(truth.mean, 0.3**2 * torch.eye(2).double())
    assert gaps.approximation.median() == pytest.approx(float(td.kl_divergence(best, truth)[0]), abs=0.03)


def test_an_inflated_proposal_serves_the_likelihood_alone() -> None:
    x = TRUTH.sample(50, torch.Generator().manual_seed(1))
    torch.manual_seed(5)
    plain = inference_gaps(model().model, x, steps=30)
    torch.manual_seed(5)
    wide = inference_gaps(model().model, x, steps=30, proposal=Inflated(2.0))
    assert torch.equal(plain.optimised, wide.optimised)
    assert torch.equal(plain.amortised, wide.amortised)
    error = (plain.log_likelihood - wide.log_likelihood).std() / math.sqrt(50)
    assert 0 < abs(plain.log_likelihood.mean() - wide.log_likelihood.mean()) < 4 * error + 2e-3


def test_bits_by_a_score_estimator(miniature: Path) -> None:
    """Documents under three bits: log p(x) and the encoder's ELBO are sums over eight codes."""
    data, module = newsgroups(miniature), hashing()
    data.setup()
    x = data.val.x
    torch.manual_seed(0)
    gaps = inference_gaps(module.model, x, LeaveOneOut(16), num_samples=4000)
    codes = torch.cartesian_prod(*[torch.tensor([0.0, 1.0])] * 3)[:, None].expand(-1, len(x), -1)
    with torch.no_grad():
        joint = module.model.decoder(codes).log_prob(x).double() - 3 * math.log(2)
        log_q = module.model.encoder(x).log_prob(codes).double()
    exact = joint.logsumexp(0)
    elbo = (log_q.exp() * (joint - log_q)).sum(0)
    error = ((log_q.exp() * (joint - log_q - elbo).square()).sum(0) / 4000).sqrt()
    assert ((gaps.amortised - elbo).abs() < 4 * error).all()
    assert (gaps.log_likelihood - exact).abs().max() < 0.05
    assert (gaps.amortisation > -1e-3).all()
    assert (gaps.optimised < exact + 1e-3).all()
    assert gaps.amortisation.mean() > 10 * gaps.approximation.mean() > 0


def test_starts_where_the_encoder_is() -> None:
    q = model().model.encoder(TRUTH.sample(4))
    assert td.kl_divergence(FreePosterior(q)(), q).abs().max() < 1e-6


def test_in_inference_mode_without_touching_the_model() -> None:
    module = model()
    before = {name: value.clone() for name, value in module.state_dict().items()}
    with torch.inference_mode():
        x = TRUTH.sample(3) + 0
        gaps = inference_gaps(module.model, x, steps=2, num_samples=5)
    assert gaps.optimised.shape == (3,)
    assert all(p.grad is None and p.requires_grad for p in module.parameters())
    assert all(torch.equal(value, before[name]) for name, value in module.state_dict().items())


def test_bad_input() -> None:
    x = TRUTH.sample(3)
    with pytest.raises(ValueError, match="steps >= 1 and num_samples >= 1, got 0 and 1000"):
        inference_gaps(model().model, x, steps=0)
    with pytest.raises(TypeError, match="independent Gaussians or bits, got MultivariateNormal"):
        FreePosterior(TRUTH.posterior(x))
    with pytest.raises(TypeError, match="Reparameterised needs a continuous posterior, got Bernoulli"):
        inference_gaps(hashing().model, Counts.from_dense(torch.ones(2, 80)))
