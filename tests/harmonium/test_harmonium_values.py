"""Harmonium: known values of RBMs of three kinds, computed independently in float64 by enumeration or quadrature."""

import math

import numpy as np
import pytest
import torch
from support.harmoniums import all_bits, documents, load

from vae_lightning.counts import Counts
from vae_lightning.families import Bernoulli, Multinomial, Normal
from vae_lightning.harmonium import Harmonium


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
        """E[v], and P(h) from 0000 to 1111."""
        model, _ = setting
        v = all_bits(6)
        expected = [0.6145738135877108, 0.6706625393461804, 0.31286930132687035]
        expected += [0.23929677091919394, 0.5435565703271119, 0.58161356382573]
        assert (model.log_prob(v).exp() @ v).tolist() == pytest.approx(expected, abs=1e-12)
        marginal = (-model.hidden_free_energy(all_bits(4)) - model.log_partition()).exp()
        expected = [
            *[0.051129636279970435, 0.1028365240234367, 0.05777809033522232, 0.13277653639994186],
            *[0.05406166608080559, 0.11245548353014419, 0.062206654103348503, 0.14729504963551615],
            *[0.01812886092757579, 0.03686270855430446, 0.022841866476153744, 0.05206649833304387],
            *[0.020378724938744423, 0.04275159128617666, 0.02584437915998641, 0.06058572993562913],
        ]
        assert marginal.tolist() == pytest.approx(expected, abs=1e-12)

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
POSTERIOR_BY_LENGTH = {
    1: [0.8085743523027715, 0.2657965318939706, 0.6376599366150416],
    2: [0.7762372683387994, 0.18487108435506514, 0.45676240453517164],
    4: [0.9224145023210673, 0.023196468230878498, 0.3499362079251356],
    8: [0.9928898652545355, 0.0002602828202686538, 0.18076220433854492],
}
CODES_BY_LENGTH = {
    1: [
        *[0.032158291315619016, 0.0335789168200355, 0.054144633023458774, 0.05222813033162355],
        *[0.1288201256613333, 0.1454516087838572, 0.27171399655407236, 0.2819042975100001],
    ],
    2: [
        *[0.010575608943886566, 0.008779800715203297, 0.013840747619378788, 0.009805946479649575],
        *[0.16765595839268368, 0.1627497963261901, 0.34435377128618794, 0.28223837023681997],
    ],
    4: [
        *[0.000862081037502378, 0.0004524165482125112, 0.0006816880669429303, 0.00026054183613565706],
        *[0.21404614623769327, 0.15358265642439672, 0.4168774295080847, 0.2132370403410315],
    ],
    8: [
        *[4.701787070414405e-06, 9.85996960440943e-07, 1.3572736665435905e-06, 1.509672758383087e-07],
        *[0.28636088839744805, 0.11225742210371044, 0.5014699420993657, 0.09990455137450249],
    ],
}
LENGTHS = torch.tensor([1.0, 2.0, 4.0, 8.0], dtype=torch.float64)
DOCUMENTS = torch.tensor([[1.0, 0, 0, 0, 0], [1, 0, 0, 0, 1], [2, 0, 0, 0, 2], [4, 0, 0, 0, 4]], dtype=torch.float64)


class TestMultinomialBernoulliRBM:
    """Documents over five words with three hidden bits, for several lengths (Eq. 15)."""

    @pytest.fixture
    def model(self):
        g = np.random.default_rng(3)
        weight, a, b = g.normal(0, 0.7, (5, 3)), g.normal(0, 0.5, 5), g.normal(0, 0.5, 3)
        return load(Harmonium(Multinomial(5), Bernoulli(3)), weight, a, b)

    def test_log_partition_of_every_length(self, model):
        own = model.given(LENGTHS).log_partition().tolist()
        assert own == pytest.approx(list(LOG_PARTITION_BY_LENGTH.values()), abs=1e-12)
        for length, expected in LOG_PARTITION_BY_LENGTH.items():
            over_documents = (-model.free_energy(documents(length, 5))).logsumexp(0)
            assert over_documents.item() == pytest.approx(expected, abs=1e-12)

    def test_bias_scaled_by_length_is_a_row_added_to_w(self, model):
        """The replicated softmax."""
        scaled = load(model, model.weight + model.hidden_bias, model.visible_bias, torch.zeros(3))
        own = scaled.given(LENGTHS).log_partition().tolist()
        assert own == pytest.approx(list(LOG_PARTITION_SCALED.values()), abs=1e-12)

    def test_log_likelihood_and_posterior(self, model):
        assert model.log_prob(DOCUMENTS).tolist() == pytest.approx(list(LOG_PROB_BY_LENGTH.values()), abs=1e-12)
        posterior = model.hidden_given(DOCUMENTS).mean.detach()
        np.testing.assert_allclose(posterior, list(POSTERIOR_BY_LENGTH.values()), rtol=0, atol=1e-12)

    def test_distribution_of_codes_depends_on_the_length(self, model):
        """P(z | l) for z from 000 to 111."""
        bound = model.given(LENGTHS)
        marginal = (-bound.hidden_free_energy(all_bits(3)[:, None]) - bound.log_partition()).exp()
        np.testing.assert_allclose(marginal.T.detach(), list(CODES_BY_LENGTH.values()), rtol=0, atol=1e-12)

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
