"""Harmonium: log Z, densities, conditionals, gradients, Gibbs and annealing against enumeration and closed forms."""

import itertools
import math
from dataclasses import dataclass

import numpy as np
import pytest
import torch

from vae_lightning import harmonium as module
from vae_lightning.annealing import LogMean, anneal
from vae_lightning.counts import Counts
from vae_lightning.families import Bernoulli, BernoulliMRF, Categorical, Multinomial, Normal
from vae_lightning.families.enumeration import States, states
from vae_lightning.harmonium import Harmonium


def all_bits(n):
    return torch.tensor(list(itertools.product((0.0, 1.0), repeat=n)), dtype=torch.float64)


def documents(length, words):
    """Every bag of so many words."""
    bags = [c for c in itertools.product(range(length + 1), repeat=words) if sum(c) == length]
    return torch.tensor(bags, dtype=torch.float64)


def load(model, weight, visible_bias, hidden_bias):
    model = model.double()
    for parameter, value in (
        (model.weight, weight),
        (model.visible_bias, visible_bias),
        (model.hidden_bias, hidden_bias),
    ):
        parameter.data = torch.as_tensor(value, dtype=torch.float64).clone()
    return model


def random_harmonium(visible, hidden, scale=0.5):
    torch.manual_seed(0)
    model = Harmonium(visible, hidden).double()
    for parameter in model.parameters():
        parameter.data = scale * torch.randn_like(parameter)
    return model


class TestBernoulliRBM:
    """Six visible bits, four hidden ones."""

    @pytest.fixture
    def setting(self):
        g = np.random.default_rng(0)
        w, u, v = g.normal(0, 0.5, (6, 4)), g.normal(0, 0.3, 6), g.normal(0, 0.3, 4)
        data = torch.tensor(g.integers(0, 2, (8, 6)), dtype=torch.float64)
        return load(Harmonium(Bernoulli(6), Bernoulli(4)), w, u, v), data

    def test_log_partition_three_ways(self, setting):
        """By the method (which sums over h), over v, and over both."""
        model, _ = setting
        v, h = all_bits(6), all_bits(4)
        both = (-model.energy(v[:, None], h)).flatten()
        for value in (model.log_partition(), (-model.free_energy(v)).logsumexp(0), both.logsumexp(0)):
            assert value.item() == pytest.approx(7.024371544615847, abs=1e-12)

    def test_log_likelihood(self, setting):
        model, data = setting
        expected = [-3.1805871957784246, -4.233984263162116, -2.6379551537086225, -4.393482039898771]
        expected += [-6.080030786573765, -4.891611416848063, -2.9629042083939057, -4.2547984241997145]
        assert model.log_prob(data).tolist() == pytest.approx(expected, abs=1e-12)
        assert model.log_prob(data).mean().item() == pytest.approx(-4.079419186070423, abs=1e-12)
        assert model.log_prob(torch.zeros(6).double()).item() == pytest.approx(-4.361870393315169, abs=1e-12)

    def test_marginals(self, setting):
        """E[v], and P(h) for four codes from 0000 to 1111."""
        model, _ = setting
        v = all_bits(6)
        expected = [0.6145738135877108, 0.6706625393461804, 0.31286930132687035]
        expected += [0.23929677091919394, 0.5435565703271119, 0.58161356382573]
        assert (model.log_prob(v).exp() @ v).tolist() == pytest.approx(expected, abs=1e-12)
        marginal = (-model.hidden_free_energy(all_bits(4)) - model.log_partition()).exp()
        assert marginal.sum().item() == pytest.approx(1.0)
        expected = [0.051129636279970435, 0.1028365240234367, 0.01812886092757579, 0.06058572993562913]
        assert marginal[[0, 1, 8, 15]].tolist() == pytest.approx(expected, abs=1e-12)

    def test_gradient_of_the_mean_log_likelihood(self, setting):
        model, data = setting
        model.log_prob(data).mean().backward()
        assert model.weight.grad[0, 0].item() == pytest.approx(0.04259941355504765, abs=1e-12)


class TestGaussianBernoulliRBM:
    """log p~ = -|x - a|^2 / (2 s2) + x'Wz / s2 + b'z in the plane, two hidden bits, s2 = 0.7.

    Ours has W / s2 for weight, the mean a for visible bias, and the base measure N(x | 0, s2): another constant.
    """

    VARIANCE = 0.7
    POINTS = torch.tensor([[0.0, 0.0], [1.0, -1.0], [0.5, 2.0]], dtype=torch.float64)

    @pytest.fixture
    def values(self):
        g = np.random.default_rng(2)
        return g.normal(0, 1, (2, 2)), g.normal(0, 0.5, 2), g.normal(0, 0.5, 2)

    @pytest.fixture(params=["fixed variance", "free variance"])
    def model(self, request, values):
        weight, a, b = values
        if request.param == "fixed variance":
            return load(Harmonium(Normal(2, scale=self.VARIANCE**0.5), Bernoulli(2)), weight / self.VARIANCE, a, b)
        bias = np.concatenate((a, np.full(2, 0.5 * math.log(self.VARIANCE))))
        return load(Harmonium(Normal(2), Bernoulli(2)), weight / self.VARIANCE, bias, b)

    def test_log_partition(self, model, values):
        """The fixed variance's base measure holds 1 / (2 pi s2); the free one's 1 / (2 pi), the rest in A."""
        constant = math.log(2 * math.pi * (self.VARIANCE if model.visible.scale else 1.0))
        own = model.log_partition().item() - (values[1] @ values[1]) / (2 * self.VARIANCE)
        assert own + constant == pytest.approx(5.158159784204473, abs=1e-12)

    def test_log_density(self, model):
        expected = [-4.450021508178526, -2.6583483279705673, -6.4663363294865235]
        assert model.log_prob(self.POINTS).tolist() == pytest.approx(expected, abs=1e-10)

    def test_marginal_and_posterior(self, model):
        marginal = (-model.hidden_free_energy(all_bits(2)) - model.log_partition()).exp()
        expected = [0.025299828504905742, 0.2221306961528834, 0.022667594802876074, 0.7299018805393346]
        assert marginal.tolist() == pytest.approx(expected, abs=1e-12)
        expected = [[0.45941165396101397, 0.5955370084787261], [0.6676234086174785, 0.9580302547920987]]
        expected += [[0.23008083216378764, 0.0009462003809859584]]
        np.testing.assert_allclose(model.hidden_given(self.POINTS).mean.detach(), expected, rtol=0, atol=1e-12)


LOG_PARTITION_BY_LENGTH = {1: 5.142150258123238, 2: 7.959335554975685, 4: 13.876422445924259, 8: 25.908090224225887}
LOG_PARTITION_SCALED = {1: 5.142150258123238, 2: 8.669198806699473, 4: 16.18717215461806, 8: 31.56834525231006}
LOG_PROB_BY_LENGTH = {1: -2.3601537475284196, 2: -5.249703411813448, 4: -9.664736808364106, 8: -17.694925905795692}
DOCUMENTS = torch.tensor([[1.0, 0, 0, 0, 0], [1, 0, 0, 0, 1], [2, 0, 0, 0, 2], [4, 0, 0, 0, 4]], dtype=torch.float64)


class TestMultinomialBernoulliRBM:
    """Documents over five words with three hidden bits, for several lengths (Eq. 15)."""

    @pytest.fixture
    def model(self):
        g = np.random.default_rng(3)
        weight, a, b = g.normal(0, 0.7, (5, 3)), g.normal(0, 0.5, 5), g.normal(0, 0.5, 3)
        return load(Harmonium(Multinomial(5), Bernoulli(3)), weight, a, b)

    def test_log_partition_of_every_length(self, model):
        lengths = torch.tensor(list(LOG_PARTITION_BY_LENGTH), dtype=torch.float64)
        assert model.given(lengths).log_partition().tolist() == pytest.approx(list(LOG_PARTITION_BY_LENGTH.values()))
        for length, expected in LOG_PARTITION_BY_LENGTH.items():
            over_documents = (-model.free_energy(documents(length, 5))).logsumexp(0)
            assert over_documents.item() == pytest.approx(expected, abs=1e-12)

    def test_bias_scaled_by_length_is_a_row_added_to_w(self, model):
        """The replicated softmax."""
        scaled = load(model, model.weight + model.hidden_bias, model.visible_bias, torch.zeros(3))
        lengths = torch.tensor(list(LOG_PARTITION_SCALED), dtype=torch.float64)
        assert scaled.given(lengths).log_partition().tolist() == pytest.approx(list(LOG_PARTITION_SCALED.values()))

    def test_log_likelihood_and_posterior(self, model):
        assert model.log_prob(DOCUMENTS).tolist() == pytest.approx(list(LOG_PROB_BY_LENGTH.values()), abs=1e-12)
        expected = [0.8085743523027715, 0.2657965318939706, 0.6376599366150416]
        posterior = model.hidden_given(DOCUMENTS).mean
        assert posterior[0].tolist() == pytest.approx(expected, abs=1e-12)
        assert posterior[3].tolist() == pytest.approx(
            [0.9928898652545355, 0.0002602828202686538, 0.18076220433854492], abs=1e-12
        )

    def test_distribution_of_codes_depends_on_the_length(self, model):
        """P(z | l) for z = 000 and 111, l = 1 and 8."""
        bound = model.given(torch.tensor([1.0, 8.0]).double())
        marginal = (-bound.hidden_free_energy(all_bits(3)[:, None]) - bound.log_partition()).exp()
        assert marginal[[0, 7]].flatten().tolist() == pytest.approx(
            [0.032158291315619016, 4.701787070414405e-06, 0.2819042975100001, 0.09990455137450249], abs=1e-12
        )

    def test_sparse_counts_are_the_dense_rows(self, model):
        sparse = Counts.from_dense(DOCUMENTS)
        h = all_bits(3)[:4]
        for of in (
            model.log_prob,
            model.free_energy,
            lambda v: model.hidden_given(v).mean,
            lambda v: model.energy(v, h),
        ):
            torch.testing.assert_close(of(sparse), of(DOCUMENTS))
        gradients = [
            torch.autograd.grad(model.log_prob(v).sum(), list(model.parameters())) for v in (sparse, DOCUMENTS)
        ]
        torch.testing.assert_close(*gradients)

    def test_gibbs_keeps_each_length(self, model):
        v = model.gibbs(Counts.from_dense(DOCUMENTS), steps=3)
        assert v.sum(-1).tolist() == [1, 2, 4, 8]


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


@torch.no_grad()
def exact_samples(model, h, n):
    """V drawn by way of h, from the exact marginal over all its values `h` (H, *Z): (n, *E), or (n, L, K)."""
    batch = model.log_partition().shape
    log_marginal = -model.hidden_free_energy(h.reshape(len(h), *(1,) * len(batch), *h.shape[1:]))
    index = torch.distributions.Categorical(logits=log_marginal.movedim(0, -1)).sample((n,))
    return model.visible_given(h[index]).sample()


ANNEALED = {
    "bits x bits": (Bernoulli(20), Bernoulli(14), 0.4),
    "normal x bits": (Normal(8), Bernoulli(12), 0.3),
    "normal of fixed scale x bits": (Normal(8, scale=0.7), Bernoulli(12), 0.5),
    "words x bits": (Multinomial(15).given(torch.tensor([1.0, 6.0, 20.0]).double()), Bernoulli(12), 0.3),
    "classes x bits": (Categorical(3, (6,)), Bernoulli(12), 0.4),
    "bits x classes": (Bernoulli(12), Categorical(3, (7,)), 0.4),
    "bits x normal": (Bernoulli(12), Normal(4, scale=1.0), 0.3),
    "bits x pairs of bits": (Bernoulli(12), BernoulliMRF(3, 3), 0.3),
}


@pytest.fixture(params=ANNEALED, ids=str)
def annealed(request):
    model = random_harmonium(*ANNEALED[request.param])
    return model, model.log_partition().detach()


class TestAnnealing:
    """Annealed importance sampling against the exact log Z."""

    BETAS = torch.linspace(0, 1, 150)

    def test_within_three_standard_errors(self, annealed):
        model, exact = annealed
        torch.manual_seed(3)
        estimate = model.annealed_log_partition(200, self.BETAS)
        assert estimate.value.shape == exact.shape
        assert ((estimate.value - exact).abs() <= 3 * estimate.stderr).all()
        assert (estimate.stderr < 0.2).all()
        assert ((estimate.effective_sample_size > 20) & (estimate.effective_sample_size <= 200)).all()

    def test_reverse_within_three_standard_errors(self, annealed):
        model, exact = annealed
        hidden = states(model.hidden)
        if hidden is None:  # v itself can be drawn then
            v = states(model.visible).numbered(torch.arange(2**12), exact)
            torch.manual_seed(4)
            v = v[torch.distributions.Categorical(logits=-model.free_energy(v)).sample((200,))]
        else:
            torch.manual_seed(4)
            v = exact_samples(model, hidden.numbered(torch.arange(hidden.count), exact), 200)
        estimate = model.reverse_annealed_log_partition(v, self.BETAS)
        assert estimate.value.shape == exact.shape
        assert ((estimate.value - exact).abs() <= 3 * estimate.stderr).all()
        assert (estimate.stderr < 0.2).all()

    def test_forward_and_reverse_bracket_log_z(self):
        """With five steps the mean log-weights are off by far more than their errors, to the sides Jensen says."""
        model = random_harmonium(Bernoulli(20), Bernoulli(12), 0.6)
        exact = model.log_partition().item()
        torch.manual_seed(5)
        v = exact_samples(model, all_bits(12), 1000)
        path = module._Annealed(model, model.a.detach())
        start = model.visible.distribution(path.start).sample((1000,))
        forward = path.log_partition_at_zero() + anneal(path, start, torch.linspace(0, 1, 6))
        reverse = path.log_partition_at_zero() - anneal(path, v, torch.linspace(1, 0, 6))
        for log_weight, sign in ((forward, -1), (reverse, 1)):
            error = log_weight.std().item() / math.sqrt(1000)
            assert sign * (log_weight.mean().item() - exact) > 4 * error

    def test_start_from_the_mean_of_the_data(self):
        """A start near the model's own mean keeps more of the chains' weight than its biases do."""
        model = random_harmonium(Bernoulli(20), Bernoulli(12), 0.5)
        model.weight.data += 0.4
        model.visible_bias.data -= 2.0
        exact = model.log_partition().item()
        torch.manual_seed(6)
        mean = exact_samples(model, all_bits(12), 1000).mean(0).clamp(0.01, 0.99)
        betas = torch.linspace(0, 1, 60)
        plain = model.annealed_log_partition(200, betas)
        informed = model.annealed_log_partition(200, betas, start=mean.logit())
        assert abs(informed.value.item() - exact) <= 3 * informed.stderr.item()
        assert informed.effective_sample_size > plain.effective_sample_size

    def test_log_mean_is_the_delta_method(self):
        """Against weights of known spread: 4,000 repetitions of 50 log-normal weights."""
        torch.manual_seed(7)
        log_weight = 0.3 * torch.randn(50, 4000, dtype=torch.float64) + 100.0
        estimate = LogMean.of(log_weight)
        torch.testing.assert_close(estimate.value, log_weight.exp().mean(0).log())
        assert estimate.stderr.mean().item() == pytest.approx(estimate.value.std().item(), rel=0.05)
        spread = log_weight.exp()
        expected = spread.sum(0).square() / spread.square().sum(0)
        torch.testing.assert_close(estimate.effective_sample_size, expected)
        assert LogMean.of(log_weight[:1]).stderr.isnan().all()

    @pytest.mark.parametrize("betas", [[], [0.0], [0.0, 0.9], [0.1, 1.0], [0.0, 0.7, 0.5, 1.0]])
    def test_betas_that_are_no_path(self, betas):
        model = Harmonium(Bernoulli(3), Bernoulli(2))
        with pytest.raises(ValueError, match="betas must go from 0 to 1, or from 1 to 0"):
            model.annealed_log_partition(10, torch.tensor(betas))


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


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: Harmonium(Bernoulli(2), Normal(3)), r"hidden Normal\(\(3,\)\) has a free variance.*: fix it, as in"),
        (lambda: Harmonium(Normal(2), Normal(3, scale=1.0)), r"does not normalise for every W: make one side bounded"),
        (lambda: Harmonium(Normal(2, scale=1.0), Normal(3, scale=1.0)), "does not normalise for every W"),
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
