"""Annealed importance sampling: against exact log Z of every kind of harmonium, in a bracket, and its error bar."""

import math

import pytest
import torch
from support.harmoniums import all_bits, exact_samples, random_harmonium

from vae_lightning.families import Bernoulli, BernoulliMRF, Categorical, Multinomial, Normal
from vae_lightning.families.enumeration import states
from vae_lightning.harmonium import Harmonium
from vae_lightning.harmonium.annealing import LogMean, anneal
from vae_lightning.harmonium.uncoupling import Uncoupling

ANNEALED = {
    "bits x bits": (Bernoulli(24), Bernoulli(16), 0.4),
    "normal x bits": (Normal(8), Bernoulli(16), 0.25),
    "normal of fixed scale x bits": (Normal(8, scale=0.7), Bernoulli(16), 0.4),
    "words x bits": (Multinomial(15).given(torch.tensor([1.0, 6.0, 20.0]).double()), Bernoulli(15), 0.3),
    "classes x bits": (Categorical(3, (6,)), Bernoulli(16), 0.4),
    "bits x classes": (Bernoulli(12), Categorical(3, (15,)), 0.4),
    "bits x normal": (Bernoulli(12), Normal(15, scale=1.0), 0.15),
    "bits x pairs of bits": (Bernoulli(12), BernoulliMRF(12, 3), 0.2),
}
"""Fifteen or sixteen hidden units of each family, and the spread of their parameters."""


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
        torch.manual_seed(4)
        every_v = states(model.visible)
        if every_v is not None and every_v.bits <= 12:
            log_p = -model.free_energy(every_v.numbered(torch.arange(every_v.count), exact))
            v = every_v.numbered(torch.distributions.Categorical(logits=log_p).sample((200,)), exact)
        else:
            v = exact_samples(model, all_bits(model.hidden.num_parameters), 200)
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
        path = Uncoupling(model.visible, model.hidden, model.a, model.b, model.weight, model.a.detach())
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

    @pytest.mark.parametrize(("n", "deviation"), [(50, 0.3), (5, 1.0), (100, 3.0)])
    def test_the_error_of_a_log_mean_is_its_spread(self, n, deviation):
        """4,000 repetitions of n log-normal weights: of few, or few that count, up to a tenth too large."""
        torch.manual_seed(7)
        log_weight = deviation * torch.randn(n, 4000, dtype=torch.float64) + 100.0
        estimate = LogMean.of(log_weight)
        torch.testing.assert_close(estimate.value, log_weight.exp().mean(0).log())
        ratio = estimate.stderr.square().mean().sqrt() / estimate.value.std()
        assert 0.95 < ratio < 1.2
        spread = log_weight.exp()
        expected = spread.sum(0).square() / spread.square().sum(0)
        torch.testing.assert_close(estimate.effective_sample_size, expected)
        assert LogMean.of(log_weight[:1]).stderr.isnan().all()

    @pytest.mark.parametrize("betas", [[], [0.0], [0.0, 0.9], [0.1, 1.0], [0.0, 0.7, 0.5, 1.0], [1.0, 0.0]])
    def test_betas_that_are_no_path(self, betas):
        model, v = Harmonium(Bernoulli(3), Bernoulli(2)), torch.zeros(10, 3)
        for run in (
            lambda b: model.annealed_log_partition(10, b),
            lambda b: model.reverse_annealed_log_partition(v, b),
        ):
            with pytest.raises(ValueError, match="betas must go from 0 to 1 without turning back"):
                run(torch.tensor(betas))

    def test_no_chains(self):
        with pytest.raises(ValueError, match="at least 1 chain, and 2 for a standard error; got 0"):
            Harmonium(Bernoulli(3), Bernoulli(2)).annealed_log_partition(0, self.BETAS)
