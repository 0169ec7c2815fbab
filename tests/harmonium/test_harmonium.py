"""Harmonium: every pair of families against brute force: energies, conditionals, log Z, its gradient, Gibbs."""

import math
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from support.harmoniums import all_bits, documents, exact_samples, random_harmonium
from torch.distributions import Independent

from vae_lightning.families import Bernoulli, BernoulliMRF, Categorical, ExponentialFamily, Multinomial, Normal
from vae_lightning.families.enumeration import States, states
from vae_lightning.harmonium import Harmonium
from vae_lightning.harmonium import harmonium as module


@dataclass(frozen=True)
class Small:
    """A pair of families and points of both sides that stand for all: every value, or a grid with weights."""

    visible: object
    hidden: object
    v: torch.Tensor
    log_weight: torch.Tensor
    h: torch.Tensor


def grid(nodes=40, reach=7.0):
    """Gauss-Legendre nodes and log-weights over a square of the plane."""
    z, w = (torch.tensor(x) * reach for x in np.polynomial.legendre.leggauss(nodes))
    return torch.cartesian_prod(z, z), torch.cartesian_prod(w, w).log().sum(-1)


def small(visible, hidden):
    def points(family):
        if isinstance(family, Multinomial):
            return documents(int(family.total), 4)
        found = states(family)
        return found.numbered(torch.arange(found.count), torch.zeros((), dtype=torch.float64))

    if isinstance(visible, Normal):
        return Small(visible, hidden, *grid(), points(hidden))
    v = points(visible)
    return Small(visible, hidden, v, torch.zeros(len(v), dtype=torch.float64), points(hidden))


THREE = torch.tensor(3.0, dtype=torch.float64)
SMALL = {
    "bits x bits": small(Bernoulli(5), Bernoulli((2, 2))),
    "wide bits x bits": small(Bernoulli((3, 2)), Bernoulli(2)),
    "classes x bits": small(Categorical(3, (2,)), Bernoulli(3)),
    "bits x classes": small(Bernoulli(4), Categorical(3, (2,))),
    "normal x bits": small(Normal(2), Bernoulli(3)),
    "normal of fixed scale x classes": small(Normal(2, scale=0.8), Categorical(3)),
    "words x bits": small(Multinomial(4).given(THREE), Bernoulli(3)),
    "bits x pairs of bits": small(Bernoulli(3), BernoulliMRF(2, 1)),
}


@pytest.fixture(params=SMALL, ids=str)
def case(request):
    """A random harmonium, its points, and log p(v, h) at all of them by brute force: (V, H), each v with its weight."""
    given = SMALL[request.param]
    model = random_harmonium(given.visible, given.hidden)
    coupling = given.visible.sufficient_statistics(given.v)[:, given.visible.coupled] @ model.weight
    joint = coupling @ given.hidden.sufficient_statistics(given.h).T
    for family, x, bias, shape in (
        (given.visible, given.v, model.visible_bias, (-1, 1)),
        (given.hidden, given.h, model.hidden_bias, (1, -1)),
    ):
        factor = family.log_base_measure(x) + family.sufficient_statistics(x) @ family.constrain(bias)
        joint = joint + factor.reshape(shape)
    return given, model, joint.detach()


def expand(given):
    """All v against all h."""
    return given.v[:, None], given.h[None]


class TestAnyPair:
    """Every pair of families, by brute force over both sides."""

    def test_energy(self, case):
        given, model, joint = case
        torch.testing.assert_close(-model.energy(*expand(given)), joint)

    def test_log_partition(self, case):
        given, model, joint = case
        log_z = (joint + given.log_weight[:, None]).flatten().logsumexp(0)
        torch.testing.assert_close(model.log_partition(), log_z, rtol=1e-8, atol=1e-8)

    def test_free_energies_sum_out_the_other_side(self, case):
        given, model, joint = case
        torch.testing.assert_close(-model.free_energy(given.v), joint.logsumexp(1))
        over_v = (joint + given.log_weight[:, None]).logsumexp(0)
        torch.testing.assert_close(-model.hidden_free_energy(given.h), over_v, rtol=1e-8, atol=1e-8)

    def test_conditionals(self, case):
        given, model, joint = case
        v, h = expand(given)
        torch.testing.assert_close(model.hidden_given(v).log_prob(h), joint.log_softmax(1), atol=1e-8, rtol=1e-8)
        expected = joint - (joint + given.log_weight[:, None]).logsumexp(0)
        torch.testing.assert_close(model.visible_given(h).log_prob(v), expected, atol=1e-8, rtol=1e-8)

    def test_normalised(self, case):
        given, model, _ = case
        total = (model.log_prob(given.v) + given.log_weight).logsumexp(0)
        assert total.item() == pytest.approx(0.0, abs=1e-8)

    def test_score_has_mean_zero(self, case):
        """E_p[d log p(v) / d parameter] = 0: the gradient of log Z, biases through `constrain` included."""
        given, model, _ = case
        probability = (model.log_prob(given.v) + given.log_weight).exp().detach()
        gradients = torch.autograd.grad(probability @ model.log_prob(given.v), list(model.parameters()))
        assert max(g.abs().max().item() for g in gradients) < 1e-7

    def test_gibbs_leaves_the_model_invariant(self, case):
        """Of 20,000 chains started from exact samples: the mean of T(v) and its products, within 4 standard errors."""
        given, model, _ = case
        torch.manual_seed(1)
        after = statistics(given.visible, model.gibbs(exact_samples(model, given.h, 20_000), steps=2))
        weight = (model.log_prob(given.v) + given.log_weight).exp().detach()
        expected = weight @ statistics(given.visible, given.v)
        error = after.std(0) / math.sqrt(len(after))
        assert ((after.mean(0) - expected).abs() <= 4 * error + 1e-6).all()

    def test_gibbs_forgets_where_it_started(self, case):
        """And of 20,000 chains all started from the first point, after 60 steps."""
        given, model, _ = case
        torch.manual_seed(2)
        start = given.v[len(given.v) // 3].expand(20_000, *given.v.shape[1:])
        after = statistics(given.visible, model.gibbs(start, steps=60))
        weight = (model.log_prob(given.v) + given.log_weight).exp().detach()
        error = after.std(0) / math.sqrt(len(after))
        assert ((after.mean(0) - weight @ statistics(given.visible, given.v)).abs() <= 4 * error + 1e-6).all()


def statistics(family, v):
    """T(v) and the products of its first two coupled entries with all of them."""
    t = family.sufficient_statistics(v)
    return torch.cat((t, t[:, :1] * t, t[:, 1:2] * t), -1)


class TestNumbers:
    """Sizes, chunks and single precision."""

    def test_smaller_side_is_summed(self):
        """Hundreds of bits on either side are no hindrance while the other is small."""
        for visible, hidden in ((300, 3), (3, 300)):
            model = random_harmonium(Bernoulli(visible), Bernoulli(hidden))
            free_energy = model.free_energy if visible == 3 else model.hidden_free_energy
            expected = (-free_energy(all_bits(3))).logsumexp(0)
            torch.testing.assert_close(model.log_partition(), expected)

    def test_in_chunks_it_is_the_same(self, monkeypatch):
        model = random_harmonium(Multinomial(6).given(torch.tensor([2.0, 9.0]).double()), Bernoulli(5))
        whole = model.log_partition()
        gradient = torch.autograd.grad(whole.sum(), list(model.parameters()))
        monkeypatch.setattr(module, "_MAX_ELEMENTS", 60)  # four codes at a time
        chunked = model.log_partition()
        torch.testing.assert_close(chunked, whole)
        torch.testing.assert_close(torch.autograd.grad(chunked.sum(), list(model.parameters())), gradient)

    def test_free_energy_does_not_overflow(self):
        """Hidden fields of 1e4, of which exp is infinite, sum to themselves: softplus."""
        model = Harmonium(Bernoulli(2), Bernoulli(3))
        model.weight.data.fill_(1e4)
        assert model.free_energy(torch.ones(2)).item() == pytest.approx(-6e4)
        assert model.log_prob(torch.ones(2)).item() == pytest.approx(0.0)

    def test_states_are_numbered_like_binary_numbers(self):
        index = torch.arange(8)
        assert torch.equal(States(torch.Size([3]), 2, 3).numbered(index, torch.zeros(())).double(), all_bits(3))
        rows = states(Categorical(3, (2,))).numbered(torch.tensor([5]), torch.zeros(()))
        assert rows.tolist() == [[[0, 1, 0], [0, 0, 1]]]

    def test_parameters_are_shared_with_the_model_of_given_lengths(self):
        model = Harmonium(Multinomial(4), Bernoulli(2))
        bound = model.given(torch.tensor(3.0))
        assert bound.weight is model.weight
        assert model.visible.total is None
        bound.log_partition().backward()
        assert model.weight.grad is not None


class Laplace(ExponentialFamily):
    """Reals of somebody's own, of which no closed form is known here."""

    def __init__(self, n):
        self.event_shape, self.num_parameters = torch.Size([n]), n

    def log_partition(self, eta):
        return -(1 - eta.square()).log().sum(-1)

    def distribution(self, eta):
        return Independent(torch.distributions.Laplace(eta, 1.0), 1)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: Harmonium(Laplace(2), Normal(3, scale=1.0)), "does not normalise for every W: make one side bounded"),
        (lambda: Harmonium(Bernoulli(2), Multinomial(3)), r"use Multinomial.given\(total\)"),
        (
            lambda: Harmonium(Bernoulli(30), Bernoulli(21)).log_partition(),
            r"here 2\^21 .* 2\^20; use annealed_log_part",
        ),
        (
            lambda: Harmonium(Multinomial(3), Normal(2, scale=1.0)).given(THREE).log_partition(),
            "annealed_log_partition",
        ),
        (lambda: Harmonium(Multinomial(3), Bernoulli(2)).log_partition(), r"use given\(total\)"),
        (lambda: Harmonium(Bernoulli(3), Bernoulli(2)).gibbs(torch.zeros(1, 3), steps=0), "at least 1 step, got 0"),
    ],
)
def test_what_it_refuses(build, message):
    with pytest.raises(ValueError, match=message):
        build()


def test_only_documents_have_lengths():
    with pytest.raises(TypeError, match="only documents have lengths"):
        Harmonium(Bernoulli(3), Bernoulli(2)).given(THREE)
