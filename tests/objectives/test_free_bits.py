"""FreeBits against the batch's objective written out by hand."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from vae_lightning.conditional import Conditional
from vae_lightning.estimators import Enumerated, LeaveOneOut, Reparameterised
from vae_lightning.families import Bernoulli, BernoulliMRF, Categorical, Normal
from vae_lightning.latent_variable import LatentVariableModel
from vae_lightning.nn import MLP
from vae_lightning.objectives import AnalyticELBO, FreeBits
from vae_lightning.priors import FactorisedPrior, MixturePrior, Prior

ROWS = 7


def gaussian_model(prior: Prior | None = None) -> LatentVariableModel:
    torch.manual_seed(0)
    encoder, decoder = Conditional(Normal(3), (4,), MLP), Conditional(Normal(4, scale=0.7), (3,), MLP)
    return LatentVariableModel(encoder, decoder, prior or FactorisedPrior(Normal(3), learned=True)).double()


def bit_model() -> LatentVariableModel:
    torch.manual_seed(0)
    encoder, decoder = Conditional(Bernoulli(3), (4,), MLP), Conditional(Normal(4, scale=0.7), (3,), MLP)
    return LatentVariableModel(encoder, decoder, FactorisedPrior(Bernoulli(3), learned=True)).double()


def observations() -> Tensor:
    return torch.randn(ROWS, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(1))


def kl_of_gaussians(model: LatentVariableModel, x: Tensor) -> Tensor:
    """(B, 3): log(s/sigma) + (sigma^2 + (mu - m)^2) / (2 s^2) - 1/2."""
    (mean, log_sigma), (m, log_s) = model.encoder.network(x).chunk(2, -1), model.prior.theta.chunk(2)
    return log_s - log_sigma + (torch.exp(2 * log_sigma) + (mean - m).square()) / (2 * torch.exp(2 * log_s)) - 0.5


def kl_of_bits(model: LatentVariableModel, x: Tensor) -> Tensor:
    """(B, 3): p log(p / r) + (1 - p) log((1 - p) / (1 - r))."""
    p, r = model.encoder.network(x).sigmoid(), model.prior.theta.sigmoid()
    return p * (p / r).log() + (1 - p) * ((1 - p) / (1 - r)).log()


SETTINGS = {
    "gaussian": (gaussian_model, kl_of_gaussians, lambda: Reparameterised(2)),
    "bits": (bit_model, kl_of_bits, Enumerated),
}


@pytest.mark.parametrize("setting", SETTINGS)
@pytest.mark.parametrize("which", [0, 1, 2, 3])
def test_the_mean_of_the_rows_is_the_objective(setting: str, which: int) -> None:
    """Value and gradient of reconstruction - sum_j max(lambda, mean KL_j), with 0 to 3 dimensions below lambda."""
    build, kl_by_hand, estimator = SETTINGS[setting]
    model, x = build(), observations()
    kl = kl_by_hand(model, x)
    means = kl.mean(0).sort().values.tolist()
    free_nats = [means[0] / 2, (means[0] + means[1]) / 2, (means[1] + means[2]) / 2, 2 * means[2]][which]
    torch.manual_seed(2)
    found = FreeBits(estimator(), free_nats)(model, x)
    torch.manual_seed(2)
    reconstruction = AnalyticELBO(estimator(), beta=0.0)(model, x).mean()
    expected = reconstruction - kl.mean(0).clamp(min=free_nats).sum()
    assert found.shape == (ROWS,)
    torch.testing.assert_close(found.mean(), expected, rtol=1e-11, atol=1e-11)
    parameters = list(model.parameters())
    for gradient, true in zip(
        torch.autograd.grad(found.mean(), parameters), torch.autograd.grad(expected, parameters), strict=True
    ):
        torch.testing.assert_close(gradient, true, rtol=1e-9, atol=1e-11)


def test_a_dimension_below_lambda_has_no_gradient() -> None:
    """With a decoder that ignores z, nothing else pulls on the encoder; the dimension above lambda feels its KL."""
    model, x = gaussian_model(), observations()
    with torch.no_grad():
        model.decoder.network.output.weight.zero_()
        model.encoder.network.output.bias.copy_(torch.tensor([0.1, 3.0, 0.1, 0.0, 0.0, 0.0]))
        model.encoder.network.output.weight.mul_(0.1)
    kl = kl_of_gaussians(model, x).mean(0)
    assert kl[0] < 0.5 < kl[1]
    assert kl[2] < 0.5
    bias = model.encoder.network.output.bias
    (gradient,) = torch.autograd.grad(FreeBits(Reparameterised(), 0.5)(model, x).mean(), bias)
    assert (gradient != 0).tolist() == [False, True, False] * 2
    (plain,) = torch.autograd.grad(FreeBits(Reparameterised(), 0.0)(model, x).mean(), bias)
    assert (plain != 0).all()


def test_nothing_free_is_the_elbo() -> None:
    model, x = gaussian_model(), observations()
    values = []
    for objective in (FreeBits(Reparameterised(), 0.0), AnalyticELBO(Reparameterised())):
        torch.manual_seed(3)
        values.append(objective(model, x))
        assert objective.is_elbo
    torch.testing.assert_close(*values)
    assert not FreeBits(Reparameterised(), 0.1).is_elbo


def test_a_variable_of_several_classes_is_one_dimension() -> None:
    """KL_j of one-hot variables by their probabilities; three variables of four classes, the prior uniform."""
    torch.manual_seed(0)
    family = Categorical(4, (3,))
    model = LatentVariableModel(
        Conditional(family, (4,), MLP), Conditional(Normal(4, 1.0), (3, 4), MLP), FactorisedPrior(family)
    ).double()
    x = observations()
    p = model.encoder.network(x).unflatten(-1, (3, 4)).softmax(-1)
    kl = (p * p.log()).sum(-1) + math.log(4)
    objective = FreeBits(Enumerated(), float(kl.mean(0).median()) + 1e-9)
    expected = AnalyticELBO(Enumerated(), beta=0.0)(model, x).mean() - kl.mean(0).clamp(min=objective.free_nats).sum()
    torch.testing.assert_close(objective(model, x).mean(), expected)


def test_models_without_a_kl_for_each_dimension() -> None:
    objective = FreeBits(Reparameterised(), 0.1)
    objective.check(gaussian_model())
    with pytest.raises(
        ValueError, match=r"factorised prior of one family, got Normal and Mixture; use ELBO, with beta"
    ):
        objective.check(gaussian_model(MixturePrior(Normal(3), 2)))
    coupled = BernoulliMRF(1, 2)
    model = LatentVariableModel(
        Conditional(coupled, (4,), MLP), Conditional(Normal(4), (3,), MLP), FactorisedPrior(coupled)
    )
    with pytest.raises(ValueError, match="got MarkovRandomField and MarkovRandomField"):
        FreeBits(LeaveOneOut(), 0.1).check(model)


@pytest.mark.parametrize("free_nats", [-0.1, math.inf, math.nan])
def test_what_cannot_be_free(free_nats: float) -> None:
    with pytest.raises(ValueError, match="free_nats counts nats per latent dimension, finite and not negative; got"):
        FreeBits(Reparameterised(), free_nats)
