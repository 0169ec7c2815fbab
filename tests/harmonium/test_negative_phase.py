"""Likelihood gradients in closed form: against autograd through the enumerated log Z, for every pair of families."""

import math

import pytest
import torch
from support.harmoniums import all_bits, exact_samples, random_harmonium

from vae_lightning.counts import Counts
from vae_lightning.families import Bernoulli, BernoulliMRF, Categorical, Multinomial, Normal
from vae_lightning.families.enumeration import states
from vae_lightning.gradients import with_gradients
from vae_lightning.harmonium.moments import likelihood_gradient
from vae_lightning.objectives import (
    ContrastiveDivergence,
    EnumeratedLikelihood,
    PersistentContrastiveDivergence,
    Sparsity,
)

LENGTHS = torch.tensor([2.0, 5.0, 9.0]).double()
PAIRS = {
    "bits x bits": (Bernoulli(5), Bernoulli((2, 2))),
    "classes x bits": (Categorical(3, (2,)), Bernoulli(3)),
    "bits x classes": (Bernoulli(4), Categorical(3, (2,))),
    "normal x bits": (Normal(2), Bernoulli(3)),
    "normal of fixed scale x classes": (Normal(2, scale=0.8), Categorical(3)),
    "bits x normal of fixed scale": (Bernoulli(4), Normal(2, scale=0.7)),
    "words x bits": (Multinomial(4), Bernoulli(3)),
    "bits x pairs of bits": (Bernoulli(3), BernoulliMRF(2, 1)),
}


@pytest.fixture(params=PAIRS, ids=str)
def setting(request):
    """A random harmonium, six observations, and the exact gradient of their mean -log p(v)."""
    model = random_harmonium(*PAIRS[request.param])
    torch.manual_seed(1)
    family = model.visible.given(LENGTHS.repeat(2)) if model.has_lengths else model.visible
    v = family.sample(family.constrain(torch.randn(6, family.num_parameters).double()))
    return model, v, exact_gradient(model, v)


def exact_gradient(model, v):
    return torch.autograd.grad(-model.log_prob(v).mean(), list(model.parameters()))


def gradient(model, v, algorithm, sparsity=None):
    with torch.no_grad():
        moments, chains = algorithm(model, v, algorithm.state)
        found = likelihood_gradient(model, v, moments, sparsity)
    algorithm.keep(chains)
    return [found.weight, found.visible_bias, found.hidden_bias]


def assert_unbiased(draws, exact):
    """The mean of repeated gradients is within 4 standard errors, elsewhere equal."""
    for found, expected in zip(zip(*draws, strict=True), exact, strict=True):
        values = torch.stack(found)
        error = values.std(0) / math.sqrt(len(values))
        assert ((values.mean(0) - expected).abs() <= 4 * error + 1e-9).all()


def test_enumerated_is_exact(setting):
    model, v, exact = setting
    algorithm = EnumeratedLikelihood()
    if model.has_lengths or states(model.hidden) is None:
        with pytest.raises(ValueError, match=r"use PersistentContrastiveDivergence"):
            algorithm.attach(model)
        return
    algorithm.attach(model)
    for found, expected in zip(gradient(model, v, algorithm), exact, strict=True):
        torch.testing.assert_close(found, expected)


def test_persistent_chains_of_the_model_give_the_exact_gradient(setting):
    """Chains that start from exact samples of the model, 25 times 300 of them; those of documents keep lengths."""
    model, v, exact = setting
    algorithm = PersistentContrastiveDivergence(steps=2, chains=300).double()
    algorithm.attach(model)
    algorithm.double()
    algorithm.start(model, LENGTHS if model.has_lengths else None)
    torch.manual_seed(2)
    draws = []
    for _ in range(25):
        algorithm.hidden.copy_(model.hidden.sample(bound(model, algorithm).hidden_natural(samples(model, algorithm))))
        before = algorithm.hidden.clone()
        draws.append(gradient(model, v, algorithm))
        assert not torch.equal(algorithm.hidden, before)
    assert_unbiased(draws, exact)


def bound(model, algorithm):
    return model.given(algorithm.totals) if model.has_lengths else model


def samples(model, algorithm):
    """One exact sample of v for each chain."""
    found = states(model.hidden)
    if found is None:
        v = all_bits(4)
        return v[torch.distributions.Categorical(logits=-model.free_energy(v)).sample((algorithm.chains,))]
    h = found.numbered(torch.arange(found.count), model.weight)
    if not model.has_lengths:
        return exact_samples(model, h, algorithm.chains)
    return exact_samples(bound(model, algorithm), h, 1)[0]


def test_long_contrastive_chains_give_the_exact_gradient(setting):
    """CD-15 of 25 times 300 observations has forgotten the data; documents keep their lengths."""
    model, v, exact = setting
    torch.manual_seed(3)
    many = v.repeat(50, *[1] * (v.ndim - 1))
    assert_unbiased([gradient(model, many, ContrastiveDivergence(steps=15)) for _ in range(25)], exact)


def test_one_step_is_contrastive_divergence():
    """E over h ~ p(h | v), v' ~ p(v' | h) by enumeration, within 4 standard errors of 60 x 800 chains."""
    model = random_harmonium(Bernoulli(3), Bernoulli(2))
    v, every_v, every_h = torch.tensor([[1.0, 0.0, 1.0]]).double(), all_bits(3), all_bits(2)
    with torch.no_grad():
        up = model.hidden_given(v).log_prob(every_h).exp()
        down = model.visible_given(every_h[:, None]).log_prob(every_v).exp()
    q = up @ down
    energy = model.free_energy(v).mean() - q @ model.free_energy(every_v)
    expected = torch.autograd.grad(energy, list(model.parameters()))
    torch.manual_seed(4)
    assert_unbiased([gradient(model, v.expand(800, -1), ContrastiveDivergence()) for _ in range(60)], expected)


def test_sparse_documents_are_dense_ones():
    model = random_harmonium(Multinomial(4), Bernoulli(3)).float()
    v = torch.tensor([[1.0, 0.0, 3.0, 0.0], [0.0, 2.0, 0.0, 0.0]])
    found = []
    for x in (v, Counts.from_dense(v)):
        torch.manual_seed(5)
        found.append(gradient(model, x, ContrastiveDivergence(steps=2)))
    for dense, sparse in zip(*found, strict=True):
        torch.testing.assert_close(sparse, dense)


def test_sparsity_has_the_gradient_of_its_penalty():
    model, sparsity = random_harmonium(Bernoulli(5), Bernoulli(3)), Sparsity(target=0.1, strength=3.0)
    torch.manual_seed(6)
    v = (torch.rand(7, 5) < 0.5).double()
    plain, penalised = (gradient(model, v, EnumeratedLikelihood(), choice) for choice in (None, sparsity))
    penalty = 3.0 * (0.1 - model.hidden_natural(v).sigmoid().mean(0)).square().sum()
    torch.testing.assert_close(sparsity.penalty(model.hidden_natural(v).sigmoid()), penalty)
    expected = torch.autograd.grad(penalty, [model.weight, model.hidden_bias])
    torch.testing.assert_close(penalised[0] - plain[0], expected[0])
    torch.testing.assert_close(penalised[1], plain[1])
    torch.testing.assert_close(penalised[2] - plain[2], expected[1])


def test_backward_fills_grad_and_accumulates():
    model = random_harmonium(Bernoulli(3), Bernoulli(2))
    v = all_bits(3)[:5]
    exact = exact_gradient(model, v)
    for _ in range(2):
        with torch.no_grad():
            found = likelihood_gradient(model, v, EnumeratedLikelihood()(model, v)[0], None)
        (0.5 * with_gradients(torch.tensor(2.0).double(), found, list(model.parameters()))).backward()
    for parameter, expected in zip(model.parameters(), exact, strict=True):
        torch.testing.assert_close(parameter.grad, expected)


def test_a_step_is_a_pure_function_of_the_chains():
    """The same chains, data and noise lead to the same chains, and those kept move by `keep` alone."""
    model = random_harmonium(Bernoulli(5), Bernoulli(3)).float()
    algorithm = PersistentContrastiveDivergence(steps=2, chains=40)
    algorithm.attach(model)
    algorithm.start(model, None)
    before, v, found = algorithm.state.clone(), all_bits(5).float(), []
    for _ in range(2):
        torch.manual_seed(9)
        found.append(algorithm(model, v, before)[1])
    assert torch.equal(*found)
    assert torch.equal(algorithm.hidden, before)
    assert not torch.equal(found[0], before)
    algorithm.keep(found[0])
    assert torch.equal(algorithm.hidden, found[0])
    assert torch.equal(algorithm(model, v, found[0])[0].hidden, algorithm(model, v, before)[0].hidden)  # of the data
    assert ContrastiveDivergence().state is ContrastiveDivergence()(model, v)[1] is None


def test_chains_start_from_the_hidden_bias():
    """Of 20,000 chains, within 4 standard errors; then a sampler goes on from them."""
    model = random_harmonium(Bernoulli(3), Bernoulli(2))
    algorithm = PersistentContrastiveDivergence(chains=20_000)
    algorithm.attach(model)
    torch.manual_seed(7)
    algorithm.start(model, None)
    expected = model.hidden_bias.detach().sigmoid().float()
    error = (expected * (1 - expected) / 20_000).sqrt()
    assert ((algorithm.hidden.mean(0) - expected).abs() < 4 * error).all()
    assert torch.equal(algorithm.starts(model, 3), algorithm.hidden[:3])
    assert algorithm.starts(model, 20_001).shape == (20_001, 2)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: ContrastiveDivergence(0), "ContrastiveDivergence needs steps >= 1, got 0"),
        (lambda: PersistentContrastiveDivergence(chains=0), "needs chains >= 1, got 0"),
        (lambda: Sparsity(1.0), "target between 0 and 1, got 1.0"),
        (lambda: Sparsity(0.5, -1.0), "strength >= 0, got -1.0"),
        (
            lambda: EnumeratedLikelihood().attach(random_harmonium(Bernoulli(2), Bernoulli(17))),
            r"at most 2\^16 values of h.*2\^17 values of h: use PersistentContrastiveDivergence",
        ),
    ],
)
def test_what_they_refuse(build, message):
    with pytest.raises(ValueError, match=message):
        build()
