"""ForwardKL against integrals and sums over the model's joint distribution."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
import torch.distributions as td
from torch import Tensor

from vae_lightning.conditional import Conditional
from vae_lightning.counts import Counts
from vae_lightning.families import Bernoulli, Multinomial, Normal, PartlyObserved
from vae_lightning.latent_variable import LatentVariableModel
from vae_lightning.models import GaussianVAE
from vae_lightning.nn import MLP, BagOfWordsMLP, WordLogits
from vae_lightning.objectives import ForwardKL
from vae_lightning.priors import FactorisedPrior, MixturePrior
from vae_lightning.randomness import Noise

BITS = 2
CODES = torch.tensor(list(itertools.product((0.0, 1.0), repeat=BITS)), dtype=torch.float64)


class InTurn(Noise):
    """Given numbers in place of noise: one array for each time it is asked."""

    def __init__(self, *nodes: Tensor) -> None:
        self.nodes = iter(nodes)

    def normal(self, shape, like):
        return next(self.nodes).reshape(tuple(shape))


def gaussian_model() -> LatentVariableModel:
    """z ~ N(0, 1), x | z ~ N(1.5 z, 0.5)."""
    encoder, decoder = Conditional(Normal(1), (1,), MLP), Conditional(Normal(1, math.sqrt(0.5)), (1,), MLP)
    model = LatentVariableModel(encoder, decoder, FactorisedPrior(Normal(1), learned=True)).double()
    with torch.no_grad():
        decoder.network.output.weight.fill_(1.5)
        decoder.network.output.bias.zero_()
        encoder.network.output.weight.copy_(torch.tensor([[0.3], [-0.1]]))
        encoder.network.output.bias.copy_(torch.tensor([0.2, -0.3]))
    return model


def over_noise(model: LatentVariableModel) -> Tensor:
    """The expectation of the objective over both noises, on a grid of them, one pair a row."""
    nodes = torch.linspace(-7, 7, 121, dtype=torch.float64)
    weight = td.Normal(0.0, 1.0).log_prob(nodes).exp() * (nodes[1] - nodes[0])
    objective, pairs = ForwardKL(), torch.cartesian_prod(nodes, nodes)
    objective.noise = InTurn(*pairs.T)
    # the data are of another world: the objective looks at nothing but how many they are
    return torch.cartesian_prod(weight, weight).prod(1) @ objective(model, torch.full((len(pairs), 1), 99.0))


def test_gradient_by_quadrature() -> None:
    model, grid = gaussian_model(), torch.linspace(-13, 13, 521, dtype=torch.float64)
    z, x = grid[:, None], grid[None, :]
    joint = td.Normal(0.0, 1.0).log_prob(z) + td.Normal(1.5 * z, math.sqrt(0.5)).log_prob(x)
    output = model.encoder.network.output
    mean, log_sigma = output.weight[:, 0, None, None] * x + output.bias[:, None, None]
    truth = (joint.exp() * td.Normal(mean, log_sigma.exp()).log_prob(z)).sum() * (grid[1] - grid[0]) ** 2
    found = over_noise(model)
    torch.testing.assert_close(found, truth, rtol=0, atol=1e-8)
    parameters = (output.weight, output.bias)
    for gradient, true in zip(
        torch.autograd.grad(found, parameters), torch.autograd.grad(truth, parameters), strict=True
    ):
        assert true.abs().min() > 1e-3
        torch.testing.assert_close(gradient, true, rtol=0, atol=1e-8)


def test_the_exact_posterior_is_its_maximum() -> None:
    """q = N(6/11 x, 2/11): no gradient, and minus the entropy of the posterior as value."""
    model = gaussian_model()
    output = model.encoder.network.output
    with torch.no_grad():
        output.weight.copy_(torch.tensor([[6 / 11], [0.0]]))
        output.bias.copy_(torch.tensor([0.0, 0.5 * math.log(2 / 11)], dtype=torch.float64))
        output.weight[0, 0] = 6 / 11
    found = over_noise(model)
    assert found.item() == pytest.approx(-0.5 * math.log(2 * math.pi * math.e * 2 / 11), abs=1e-9)
    for gradient in torch.autograd.grad(found, (output.weight, output.bias)):
        assert gradient.abs().max() < 1e-8


def pixel_model() -> tuple[LatentVariableModel, Tensor, Tensor]:
    """The model, data, and all observations there can be."""
    family = Bernoulli(BITS)
    encoder, decoder = Conditional(family, (3,), MLP), Conditional(Bernoulli(3), (BITS,), MLP)
    images = torch.tensor(list(itertools.product((0.0, 1.0), repeat=3)), dtype=torch.float64)
    return LatentVariableModel(encoder, decoder, FactorisedPrior(family, learned=True)), torch.ones(500, 3), images


def document_model() -> tuple[LatentVariableModel, Counts, Tensor]:
    """Data of documents of two words: so are those the model imagines."""
    family = Bernoulli(BITS)
    encoder, decoder = Conditional(family, (3,), BagOfWordsMLP), Conditional(Multinomial(3), (BITS,), WordLogits)
    documents = torch.tensor([x for x in itertools.product(range(3), repeat=3) if sum(x) == 2], dtype=torch.float64)
    data = Counts.from_dense(torch.tensor([[2.0, 0, 0]], dtype=torch.float64).expand(500, 3))
    return LatentVariableModel(encoder, decoder, FactorisedPrior(family, learned=True)), data, documents


@pytest.mark.parametrize("build", [pixel_model, document_model])
def test_value_and_gradient_by_enumeration(build) -> None:
    """Within 4 standard errors over 100 batches of 500 pairs, by every logit of every observation's code."""
    torch.manual_seed(0)
    model, data, observations = build()
    model.double()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_(0, 0.8)
    sparse = isinstance(data, Counts)
    q = model.encoder(Counts.from_dense(observations) if sparse else observations)
    z = CODES[:, None].expand(-1, len(observations), -1)
    if sparse:
        likelihood = td.Multinomial(2, logits=model.decoder(CODES).logits[:, None], validate_args=False)
    else:
        likelihood = td.Independent(td.Bernoulli(logits=model.decoder(CODES).base_dist.logits[:, None]), 1)
    prior = td.Independent(td.Bernoulli(logits=model.prior.theta), 1)
    joint = (likelihood.log_prob(observations) + prior.log_prob(z)).exp().detach()
    assert joint.sum().item() == pytest.approx(1)
    truth = (joint * q.log_prob(z)).sum()
    parameters = list(model.encoder.parameters())
    expected = torch.cat([truth.detach()[None], *(g.flatten() for g in torch.autograd.grad(truth, parameters))])

    objective, found = ForwardKL(), []
    for _ in range(100):
        value = objective(model, data).mean()
        gradient = torch.autograd.grad(value, parameters)
        found.append(torch.cat([value.detach()[None], *(g.flatten() for g in gradient)]))
    found = torch.stack(found)
    assert ((found.mean(0) - expected).abs() <= 4 * found.std(0) / 10 + 1e-12).all()


@pytest.mark.parametrize("build", [pixel_model, document_model])
def test_only_the_encoder_has_a_gradient(build) -> None:
    torch.manual_seed(0)
    model, data, _ = build()
    model.double()
    value = ForwardKL()(model, data)
    assert value.shape == (500,)
    value.sum().backward()
    assert all(parameter.grad is not None for parameter in model.encoder.parameters())
    assert all(parameter.grad is None for part in (model.decoder, model.prior) for parameter in part.parameters())


def test_what_is_missing_in_the_batch_is_missing_in_what_is_imagined() -> None:
    """Else an encoder of incomplete rows would learn of complete ones alone: the other entries have a gradient of 0."""
    model = GaussianVAE(1, PartlyObserved(Normal(2, 1.0)), MLP, objective=ForwardKL())
    x = torch.tensor([[0.0, torch.nan]]).repeat(20, 1)
    model.loss((x, x), 0)[0].backward()
    gradient = model.model.encoder.network.network.output.weight.grad
    assert gradient[:, 0].all()
    assert not gradient[:, 1].any()


def test_it_imagines_from_the_models_own_prior() -> None:
    """Codes of a mixture far from N(0, I): log q of a standard-normal encoder tells where they are."""
    torch.manual_seed(0)
    prior = MixturePrior(Normal(1), 2)
    with torch.no_grad():
        prior.theta.copy_(torch.tensor([[5.0, -6.0], [-5.0, -6.0]]))
    model = LatentVariableModel(Conditional(Normal(1), (1,), MLP), Conditional(Normal(1, 1.0), (1,), MLP), prior)
    with torch.no_grad():
        for parameter in model.encoder.parameters():
            parameter.zero_()
    objective = ForwardKL()
    objective.check(model)
    value = objective(model, torch.zeros(200, 1))
    torch.testing.assert_close(value, torch.full((200,), -12.5 - 0.5 * math.log(2 * math.pi)), rtol=0, atol=0.1)
    assert not objective.is_elbo
