"""Objectives on models small enough to enumerate: values and gradients of all parameters, by brute force."""

import itertools
import math

import pytest
import torch
import torch.distributions as td

from vae_lightning.conditional import Conditional
from vae_lightning.counts import Counts
from vae_lightning.estimators import ARM, DisARM, Enumerated, LeaveOneOut, Reinforce, Reparameterised
from vae_lightning.families import Bernoulli, Multinomial, Normal
from vae_lightning.latent_variable import LatentVariableModel
from vae_lightning.nn import MLP, BagOfWordsMLP, WordLogits
from vae_lightning.objectives import ELBO, IWAE, AnalyticELBO
from vae_lightning.priors import FactorisedPrior, Prior

BITS = 3
CODES = torch.tensor(list(itertools.product((0.0, 1.0), repeat=BITS)), dtype=torch.float64)
DOCUMENTS = torch.tensor([[2.0, 0, 1, 0, 0], [0, 1, 0, 0, 4], [0, 0, 0, 0, 0]], dtype=torch.float64)
PIXELS = torch.tensor([[1.0, 0, 0, 1, 1], [0, 0, 0, 0, 1], [1, 1, 1, 1, 1]], dtype=torch.float64)


def document_model():
    encoder = Conditional(Bernoulli(BITS), (5,), BagOfWordsMLP)
    decoder = Conditional(Multinomial(5), (BITS,), lambda *shape: WordLogits(*shape, hidden=(4,)))
    return LatentVariableModel(encoder, decoder, FactorisedPrior(Bernoulli(BITS), learned=True)).double()


def pixel_model():
    encoder, decoder = Conditional(Bernoulli(BITS), (5,), MLP), Conditional(Bernoulli(5), (BITS,), MLP)
    return LatentVariableModel(encoder, decoder, FactorisedPrior(Bernoulli(BITS), learned=True)).double()


@pytest.fixture(params=["documents", "pixels"])
def setting(request):
    """A model with a learned prior, what it reads, and the same rows dense."""
    torch.manual_seed(0)
    model = document_model() if request.param == "documents" else pixel_model()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_(0, 0.7)
    return (model, Counts.from_dense(DOCUMENTS), DOCUMENTS) if request.param == "documents" else (model, PIXELS, PIXELS)


def log_terms(model, x, dense):
    """Log p(x | z), log p(z), log q(z | x) of every code, (8, B), from torch's own distributions."""
    z = CODES[:, None].expand(-1, len(dense), -1)
    eta = model.decoder.natural_parameters(z)
    if isinstance(x, Counts):
        likelihood = td.Multinomial(1, logits=eta.dense(), validate_args=False)
    else:
        likelihood = td.Independent(td.Bernoulli(logits=eta), 1)
    q = td.Independent(td.Bernoulli(logits=model.encoder.natural_parameters(x)), 1)
    p = td.Independent(td.Bernoulli(logits=model.prior.theta), 1)
    return likelihood.log_prob(dense), p.log_prob(z), q.log_prob(z)


def elbo_by_hand(model, x, dense, beta):
    likelihood, prior, posterior = log_terms(model, x, dense)
    return (posterior.exp() * (likelihood + beta * (prior - posterior))).sum(0)


def iwae_by_hand(model, x, dense, num_samples):
    likelihood, prior, posterior = log_terms(model, x, dense)
    weight, total = likelihood + prior - posterior, 0.0
    for codes in itertools.product(range(len(CODES)), repeat=num_samples):
        chosen = list(codes)
        total = total + posterior[chosen].sum(0).exp() * weight[chosen].exp().mean(0).log()
    return total


def assert_same_value_and_gradient(model, found, expected):
    torch.testing.assert_close(found, expected, rtol=1e-11, atol=1e-11)
    rows = torch.arange(1.0, 1 + len(found), dtype=torch.float64)  # so that each row counts for itself
    parameters = dict(model.named_parameters())
    gradients = torch.autograd.grad((rows * found).sum(), list(parameters.values()))
    truth = torch.autograd.grad((rows * expected).sum(), list(parameters.values()))
    for name, gradient, true in zip(parameters, gradients, truth, strict=True):
        torch.testing.assert_close(gradient, true, rtol=1e-10, atol=1e-11, msg=lambda m, name=name: f"{name}: {m}")


@pytest.mark.parametrize("kind", [ELBO, AnalyticELBO])
@pytest.mark.parametrize("beta", [0.0, 0.5, 1.0, 4.0])
@pytest.mark.parametrize("num_samples", [1, 2])
def test_elbo_by_brute_force(setting, kind, beta, num_samples):
    model, x, dense = setting
    assert_same_value_and_gradient(
        model, kind(Enumerated(num_samples), beta)(model, x), elbo_by_hand(model, x, dense, beta)
    )


@pytest.mark.parametrize("num_samples", [1, 2, 3])
def test_iwae_by_brute_force(setting, num_samples):
    model, x, dense = setting
    assert_same_value_and_gradient(
        model, IWAE(Enumerated(num_samples))(model, x), iwae_by_hand(model, x, dense, num_samples)
    )


def test_elbo_is_evidence_minus_the_gap(setting):
    """ELBO = log p(x) - KL(q(z | x) || p(z | x)) <= IWAE of 2 <= IWAE of 3 <= log p(x)."""
    model, x, dense = setting
    likelihood, prior, posterior = log_terms(model, x, dense)
    evidence = (likelihood + prior).logsumexp(0)
    gap = (posterior.exp() * (posterior - (likelihood + prior - evidence))).sum(0)
    bound = ELBO(Enumerated())(model, x)
    torch.testing.assert_close(bound, evidence - gap, rtol=1e-11, atol=1e-11)
    two, three = IWAE(Enumerated(2))(model, x), IWAE(Enumerated(3))(model, x)
    assert (bound <= two + 1e-12).all()
    assert (two <= three + 1e-12).all()
    assert (three <= evidence + 1e-12).all()


@pytest.mark.parametrize("objective", [ELBO, AnalyticELBO, IWAE])
@pytest.mark.parametrize("estimator", [Reinforce(2), LeaveOneOut(2), ARM(2), DisARM(2)], ids=repr)
def test_sampled_gradients_are_unbiased(setting, objective, estimator):
    """Within 4 standard errors over 20,000 copies of the first row, in the encoder's last bias and the prior."""
    model, _, dense = setting
    rows = 20_000

    def per_row(estimator, dense):
        x = Counts.from_dense(dense) if isinstance(setting[1], Counts) else dense
        logits = model.encoder.natural_parameters(x).detach().requires_grad_()
        theta = model.prior.theta.detach().expand(len(dense), -1).clone().requires_grad_()
        toy = LatentVariableModel(model.encoder, model.decoder, model.prior)
        toy.encoder, toy.prior = _Given(logits), _Given(theta)
        bound = objective(estimator)(toy, x)
        return bound.detach(), *torch.autograd.grad(bound.sum(), (logits, theta))

    torch.manual_seed(1)
    for value, true in zip(
        per_row(estimator, dense[:1].expand(rows, -1)), per_row(Enumerated(2), dense[:1]), strict=True
    ):
        assert ((value.mean(0) - true[0]).abs() <= 4 * value.std(0) / math.sqrt(rows) + 1e-9).all()


class _Given(torch.nn.Module):
    """Bits of given logits, whatever the context."""

    def __init__(self, logits):
        super().__init__()
        self.logits = logits

    def forward(self, *_):
        return Bernoulli(BITS).distribution(self.logits)


def gaussian_model(prior=None):
    torch.manual_seed(3)
    encoder, decoder = Conditional(Normal(2), (3,), MLP), Conditional(Normal(3, scale=0.7), (2,), MLP)
    return LatentVariableModel(encoder, decoder, prior or FactorisedPrior(Normal(2))).double()


def test_gaussian_elbo_in_closed_form():
    """Value and gradient within 4 standard errors, for a linear decoder W z + b:

    E_q log p(x | z) = log N(x | W mu + b, s^2) - sum_k |W_k|^2 sigma_k^2 / (2 s^2).
    """
    model, x = gaussian_model(), torch.randn(4, 3, dtype=torch.float64)
    q = model.encoder(x).base_dist
    output = model.decoder.network.output
    fit = td.Normal(q.mean @ output.weight.T + output.bias, 0.7).log_prob(x).sum(-1)
    fit = fit - (q.variance @ output.weight.square().sum(0)) / (2 * 0.49)
    kl = 0.5 * (q.mean.square() + q.variance - 1 - q.variance.log()).sum(-1)
    torch.manual_seed(4)
    for beta, kind in itertools.product((0.5, 1.0), (ELBO, AnalyticELBO)):
        bias = model.encoder.network.output.bias  # of the means and the log sigmas: stands for all of the encoder
        bounds = [kind(Reparameterised(100), beta)(model, x) for _ in range(50)]
        gradients = torch.stack([torch.autograd.grad(bound.sum(), bias)[0] for bound in bounds])
        (true,) = torch.autograd.grad((fit - beta * kl).sum(), bias, retain_graph=True)
        for values, expected in ((torch.stack(bounds).detach(), fit - beta * kl), (gradients, true)):
            error = values.std(0) / math.sqrt(len(values))
            assert ((values.mean(0) - expected).abs() <= 4 * error).all()


class TwoModes(Prior):
    """A prior whose KL from a Normal has no closed form."""

    event_shape = torch.Size([2])

    def forward(self):
        modes = td.Independent(td.Normal(torch.tensor([[-1.0, 0.0], [1.0, 0.0]]), 0.5), 1)
        return td.MixtureSameFamily(td.Categorical(torch.ones(2)), modes)


def test_analytic_elbo_without_a_closed_form():
    objective = AnalyticELBO(Reparameterised())
    objective.check(gaussian_model())
    with pytest.raises(ValueError, match=r"no.* from Independent to MixtureSameFamily; use ELBO"):
        objective.check(gaussian_model(TwoModes()))
    ELBO(Reparameterised()).check(gaussian_model(TwoModes()))


@pytest.mark.parametrize("objective", [ELBO, AnalyticELBO, IWAE])
def test_an_estimator_that_does_not_fit_the_model(objective):
    with pytest.raises(TypeError, match="use DisARM or LeaveOneOut"):
        objective(Reparameterised()).check(pixel_model())
    with pytest.raises(TypeError, match="DisARM needs a factorised Bernoulli posterior, got Normal"):
        objective(DisARM()).check(gaussian_model())
    objective(DisARM()).check(pixel_model())


@pytest.mark.parametrize("kind", [ELBO, AnalyticELBO])
@pytest.mark.parametrize("beta", [-0.1, math.inf, math.nan])
def test_beta_that_is_no_weight(kind, beta):
    with pytest.raises(ValueError, match="beta weighs the KL and must be finite and not negative, got"):
        kind(Reparameterised(), beta)
