"""BernoulliMRF: exact by its smaller group, whichever that is; against the table of all values, and by hand."""

import itertools
import math

import numpy as np
import pytest
import torch
import torch.distributions as td
import torch.nn.functional as F
from support.harmoniums import all_bits

from vae_lightning.families import Bernoulli, BernoulliMRF, GibbsMRF
from vae_lightning.families import mrf as module
from vae_lightning.harmonium import Harmonium

SIZES = [(2, 3), (3, 2), (1, 1), (3, 3)]


def by_table(eta, first, second):
    """Every z, and log p(z) of it by writing out the sum over bits and pairs: (N, d), (*B, N)."""
    z = all_bits(first + second)
    score = torch.zeros(*eta.shape[:-1], len(z), dtype=eta.dtype)
    for place in range(first + second):
        score = score + eta[..., place, None] * z[:, place]
    for i, j in itertools.product(range(first), range(second)):
        score = score + eta[..., first + second + i * second + j, None] * z[:, i] * z[:, first + j]
    return z, score.log_softmax(-1)


@pytest.fixture(params=SIZES, ids=str)
def case(request):
    first, second = request.param
    torch.manual_seed(0)
    family = BernoulliMRF(first, second)
    eta = 1.5 * torch.randn(4, family.num_parameters, dtype=torch.float64)
    return family, eta, *by_table(eta, first, second)


def test_log_probability_is_the_table(case):
    family, eta, z, expected = case
    torch.testing.assert_close(family.distribution(eta).log_prob(z[:, None]).T, expected)


def test_moments_and_entropy_are_the_table(case):
    family, eta, z, log_p = case
    q = family.distribution(eta)
    torch.testing.assert_close(q.mean, log_p.exp() @ z)
    torch.testing.assert_close(q.mean_statistics, log_p.exp() @ family.sufficient_statistics(z))
    torch.testing.assert_close(q.entropy(), -(log_p.exp() * log_p).sum(-1))


def test_gradients_are_the_table(case):
    """Of a log-probability and of the entropy, with respect to eta."""
    family, eta, _, _ = case
    for value in (
        (lambda q: q.log_prob(torch.ones(family.event_shape)), lambda log_p: log_p[..., -1]),
        (lambda q: q.entropy(), lambda log_p: -(log_p.exp() * log_p).sum(-1)),
    ):
        own, table = eta.clone().requires_grad_(), eta.clone().requires_grad_()
        value[0](family.distribution(own)).sum().backward()
        value[1](by_table(table, family.first, family.second)[1]).sum().backward()
        torch.testing.assert_close(own.grad, table.grad)


def test_what_was_asked_without_gradient_has_one_later(case):
    """A sample, or a figure under no_grad, comes first and must not leave a constant in its place."""
    family, eta, z, _ = case
    leaf = eta.clone().requires_grad_()
    used, fresh = family.distribution(leaf), family.distribution(leaf)
    used.sample()
    with torch.no_grad():
        used.log_prob(z[0]), used.entropy()
    for value in (lambda q: q.log_prob(z[0]), lambda q: q.entropy(), lambda q: q.mean[:, 0]):
        gradients = [torch.autograd.grad(value(q).sum(), leaf, retain_graph=True)[0] for q in (used, fresh)]
        torch.testing.assert_close(*gradients)


def test_samples_follow_the_table(case):
    """Chi-square over all values of 20,000 samples a row, at the probability of 4 standard errors."""
    family, eta, z, log_p = case
    torch.manual_seed(1)
    samples = family.distribution(eta).sample((20_000,))
    number = (samples @ (2.0 ** torch.arange(z.shape[1] - 1, -1, -1, dtype=torch.float64))).long()
    for row in range(len(eta)):
        expected = 20_000 * log_p[row].exp()
        common = expected >= 5
        observed = torch.bincount(number[:, row], minlength=len(z)).double()
        observed, expected = (torch.cat((n[common], n[~common].sum()[None])) for n in (observed, expected))
        degrees = int(common.sum())
        statistic = ((observed - expected).square() / expected.clamp_min(1.0)).sum()
        assert statistic < degrees + 4 * math.sqrt(2 * degrees)


def test_every_value_is_listed_once_in_the_order_of_its_digits(case):
    family, eta, z, _ = case
    q = family.distribution(eta)
    assert q.has_enumerate_support
    assert torch.equal(q.enumerate_support(), z[:, None].expand(-1, len(eta), -1))
    assert q.enumerate_support(expand=False).shape == (len(z), 1, z.shape[1])


def test_divergences_are_the_table(case):
    """From it to independent bits, and to another of its kind, both with one member for the whole batch."""
    family, eta, z, log_q = case
    q, other = family.distribution(eta), torch.randn(family.num_parameters, dtype=torch.float64)
    logits = other[: z.shape[1]]
    independent = Bernoulli(z.shape[1]).distribution(logits)
    for p, log_p in (
        (independent, independent.log_prob(z)),
        (family.distribution(other), by_table(other, family.first, family.second)[1]),
    ):
        expected = (log_q.exp() * (log_q - log_p)).sum(-1)
        torch.testing.assert_close(td.kl_divergence(q, p.expand(q.batch_shape)), expected)


def test_a_divergence_to_what_it_cannot_be_compared_with_is_not_known(case):
    family, eta, *_ = case
    q = family.distribution(eta)
    larger = BernoulliMRF(family.first + 1, family.second)
    apart = larger.distribution(torch.zeros(len(eta), larger.num_parameters))
    for p in (td.Independent(td.Normal(eta[:, :2], 1.0), 1), apart):
        with pytest.raises(NotImplementedError):
            td.kl_divergence(q, p)


def test_moments_need_no_autograd(case):
    family, eta, _, _ = case
    expected = family.distribution(eta).mean_statistics
    with torch.inference_mode():
        torch.testing.assert_close(family.distribution(eta.clone()).mean_statistics, expected)


def test_without_couplings_it_is_the_bernoulli_family():
    torch.manual_seed(0)
    logits = torch.randn(5, 7)
    eta, z = F.pad(logits, (0, 12)), torch.bernoulli(torch.full((5, 7), 0.5))
    own, other = BernoulliMRF(3, 4).distribution(eta), Bernoulli(7).distribution(logits)
    torch.testing.assert_close(own.log_prob(z), other.log_prob(z))
    torch.testing.assert_close(own.mean, other.mean)
    torch.testing.assert_close(own.entropy(), other.entropy())


def test_large_second_group_and_large_couplings_stay_finite():
    """A group of 200 bits costs nothing; logits of 1e4 do not overflow single precision."""
    torch.manual_seed(0)
    family = BernoulliMRF(4, 200)
    eta = (1e4 * torch.randn(3, family.num_parameters)).requires_grad_()
    q = family.distribution(eta)
    log_prob = q.log_prob(q.sample())
    assert log_prob.isfinite().all()
    assert (log_prob <= 1.0).all()  # rounding of numbers near 1e7
    assert torch.autograd.grad(log_prob.sum(), eta)[0].isfinite().all()


def test_in_chunks_it_is_the_same(case, monkeypatch):
    """With room for two values at a time: A, its gradient and the gradient of the entropy."""
    family, eta, _, _ = case
    results = []
    for limit in (module._MAX_ELEMENTS, 2 * eta[:, : max(family.first, family.second)].numel()):
        monkeypatch.setattr(module, "_MAX_ELEMENTS", limit)
        leaf = eta.clone().requires_grad_()
        q = family.distribution(leaf)
        results.append((q.log_normaliser, *torch.autograd.grad(q.log_normaliser.sum() + q.entropy().sum(), leaf)))
    for whole, chunked in zip(*results, strict=True):
        torch.testing.assert_close(chunked, whole)


def test_what_it_refuses():
    with pytest.raises(ValueError, match=r"at most 16 bits, got groups of 17 and 20: make one group smaller"):
        BernoulliMRF(17, 20)
    with pytest.raises(ValueError, match="BernoulliMRF needs an event shape with at least one entry"):
        BernoulliMRF(0, 3)
    assert BernoulliMRF(16, 40).event_shape == (56,)


class TestGibbs:
    """GibbsMRF: chains in place of sums."""

    def frequencies(self, family, eta, n):
        torch.manual_seed(2)
        samples = family.distribution(eta).sample((n,))
        number = (samples @ (2.0 ** torch.arange(family.event_shape[0] - 1, -1, -1, dtype=eta.dtype))).long()
        return torch.stack([torch.bincount(column, minlength=2 ** family.event_shape[0]) for column in number.T]) / n

    def test_long_chains_sample_the_table(self):
        """Fifty sweeps, each frequency within 4 standard errors of 20,000 independent chains."""
        torch.manual_seed(0)
        eta = torch.randn(3, 11, dtype=torch.float64)
        p = by_table(eta, 2, 3)[1].exp()
        error = (p * (1 - p) / 20_000).sqrt()
        found = self.frequencies(GibbsMRF(2, 3, sweeps=50), eta, 20_000)
        assert ((found - p).abs() < 4 * error).all()

    def test_short_chains_of_strong_couplings_do_not(self):
        """Two bits that are equal or nearly so, both values alike: one sweep forgets the start, ten are not exact."""
        eta = torch.tensor([[-6.0, -6.0, 12.0]], dtype=torch.float64)
        p = by_table(eta, 1, 1)[1].exp()
        assert p[0, 0] == pytest.approx(p[0, 3])
        found = self.frequencies(GibbsMRF(1, 1, sweeps=10), eta, 2_000)
        assert found[0, 0] > p[0, 0] + 0.3

    def test_without_couplings_they_are_exact(self):
        eta = torch.tensor([[0.5, -1.0, 0.0]], dtype=torch.float64)
        p = by_table(eta, 1, 1)[1].exp()
        found = self.frequencies(GibbsMRF(1, 1, sweeps=1), eta, 20_000)
        assert ((found - p).abs() < 4 * (p * (1 - p) / 20_000).sqrt()).all()

    def test_what_is_not_known_is_not_given(self):
        family = GibbsMRF(20, 30)
        q = family.distribution(torch.randn(2, family.num_parameters))
        z = q.sample((3,))
        assert z.shape == (3, 2, 50)
        assert q.log_prob(z).isnan().all()
        with pytest.raises(ValueError, match="no log-partition: use BernoulliMRF with a group of at most 16 bits"):
            family.log_partition(q.eta)
        with pytest.raises(NotImplementedError):
            td.kl_divergence(q, Bernoulli(50).distribution(torch.zeros(2, 50)))

    def test_its_score_is_the_log_probability_up_to_a_constant(self):
        torch.manual_seed(0)
        eta, z = torch.randn(11, dtype=torch.float64), all_bits(5)
        difference = GibbsMRF(2, 3).distribution(eta).score(z) - BernoulliMRF(2, 3).distribution(eta).log_prob(z)
        torch.testing.assert_close(difference, difference[:1].expand(32))

    def test_what_it_refuses(self):
        with pytest.raises(ValueError, match="sweeps counts sweeps of block Gibbs, at least 1, got 0"):
            GibbsMRF(20, 20, sweeps=0)
        with pytest.raises(ValueError, match="GibbsMRF needs an event shape with at least one entry"):
            GibbsMRF(0, 3)


class TestModelOfEquation11:
    """p(x, z1, z2) = exp(sum_ijk W_ijk x_i z1_j z2_k), index 0 the constant 1, W_000 = 0: three x, two bits a group.

    It is the harmonium of Bernoulli(3) and BernoulliMRF(2, 2); its posterior is the encoder of the Bernoulli-MRF VAE.
    """

    @pytest.fixture
    def model(self):
        w = np.random.default_rng(1).normal(0, 0.5, (4, 3, 3))
        w[0, 0, 0] = 0
        flat = torch.tensor(np.concatenate((w[:, 1:, 0], w[:, 0, 1:], w[:, 1:, 1:].reshape(4, -1)), axis=1))
        model = Harmonium(Bernoulli(3), BernoulliMRF(2, 2)).double()
        model.load_state_dict(
            {"weight": flat[1:], "hidden_bias": flat[0], "visible_bias": torch.tensor(w[1:, 0, 0].copy())}
        )
        return model

    def test_log_partition(self, model):
        assert model.log_partition().item() == pytest.approx(5.530704640124764, abs=1e-12)
        over_z = torch.logsumexp(-model.hidden_free_energy(all_bits(4)), 0)
        over_both = torch.logsumexp(-model.energy(all_bits(3)[:, None], all_bits(4)).flatten(), 0)
        assert over_z.item() == pytest.approx(5.530704640124764, abs=1e-12)
        assert over_both.item() == pytest.approx(5.530704640124764, abs=1e-12)

    def test_probabilities(self, model):
        """Of each x, 000 to 111, and of x = 000, z = 0000 jointly."""
        expected = [0.07922142956374792, 0.2651656823785625, 0.03932121932155656, 0.07230678119847836]
        expected += [0.0988946942112642, 0.32954225162092904, 0.0410248989977281, 0.0745230427077339]
        assert model.log_prob(all_bits(3)).exp().tolist() == pytest.approx(expected, abs=1e-12)
        joint = -model.energy(torch.zeros(3).double(), torch.zeros(4).double()) - model.log_partition()
        assert joint.exp().item() == pytest.approx(0.0039631954784051975, abs=1e-14)

    def test_decoder(self, model):
        """P(x_i = 1) given z1 = 10, z2 = 01."""
        x = model.visible_given(torch.tensor([1.0, 0.0, 0.0, 1.0]).double()).mean
        assert x.tolist() == pytest.approx([0.4529238595675845, 0.4946695929736012, 0.6830193878074874], abs=1e-12)

    def test_posterior(self, model):
        """Of z1 (rows 00, 01, 10, 11) and z2 (columns) given x = 101."""
        expected = [
            *[0.01128046405842714, 0.01949793148136587, 0.019200072907899456, 0.033186729203377376],
            *[0.032310901387328186, 0.08065898319040667, 0.10364980656382754, 0.2587451184076045],
            *[0.01173042745734365, 0.016489886054392965, 0.016597305659652273, 0.023331432731912922],
            *[0.03359974224839517, 0.06821531008784884, 0.08959900982437914, 0.1819068787358382],
        ]
        posterior = model.hidden_given(torch.tensor([1.0, 0.0, 1.0]).double())
        assert posterior.log_prob(all_bits(4)).exp().tolist() == pytest.approx(expected, abs=1e-12)
