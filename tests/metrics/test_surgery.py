"""ELBO surgery against quadrature of one-dimensional encoders, and against enumeration of three bits."""

import itertools
import math
from statistics import NormalDist

import numpy as np
import pytest
import torch
import torch.distributions as td
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from vae_lightning.distributions import Flowed
from vae_lightning.metrics import ELBOSurgery
from vae_lightning.metrics.functional import Surgery, aggregated_log_prob, elbo_surgery

X = torch.linspace(-2.45, 2.45, 50, dtype=torch.float64)
CODES = torch.tensor(list(itertools.product((0.0, 1.0), repeat=3)), dtype=torch.float64)


def gaussian(mean: Tensor, sigma: Tensor | float) -> td.Distribution:
    """Independent over all but the first axis."""
    return td.Independent(td.Normal(mean, torch.as_tensor(sigma, dtype=mean.dtype).expand_as(mean)), mean.ndim - 1)


def standard_normal(*event_shape: int) -> td.Distribution:
    zeros = torch.zeros(event_shape, dtype=torch.float64)
    return td.Independent(td.Normal(zeros, zeros + 1), len(event_shape))


def planar() -> td.Distribution:
    rows = torch.from_numpy(np.random.default_rng(0).standard_normal((20, 2)))
    mixing = torch.tensor([[1, 0.3], [-0.2, 0.7]], dtype=torch.float64)
    return gaussian(rows @ mixing.mT, torch.tensor([0.4, 0.6], dtype=torch.float64))


ENCODERS = {  # posterior, then rate, mutual information, marginal KL by quadrature
    "overlapping": (gaussian(0.8 * X[:, None] + 0.1, 0.3), 1.4203728043, 1.3064062608, 0.1139665435),
    "disjoint": (gaussian(3 * X[:, None], 0.01), 13.4764701860, math.log(50), 9.5644471805),
    "varied": (gaussian(0.9 * X[:, None], 0.2 + 0.1 * X.abs()[:, None]), 1.5485422380, 1.3952910064, 0.1532512316),
    "in the plane": (planar(), 1.2653977345, 1.0788736605, 0.1865240740),
    "collapsed": (gaussian(torch.zeros(50, 1, dtype=torch.float64), 1.0), 0, 0, 0),
}  # fmt: skip


def nodes(count: int, dimension: int) -> Tensor:
    """A grid of normal quantiles (count^dimension, dimension), of mean 0 and variance 1: quadratics are exact."""
    quantiles = torch.tensor([NormalDist().inv_cdf((i + 0.5) / count) for i in range(count)], dtype=torch.float64)
    return torch.cartesian_prod(*[quantiles / quantiles.square().mean().sqrt()] * dimension).view(-1, dimension)


@pytest.mark.parametrize("name", ENCODERS)
def test_terms_at_evenly_spread_samples(name):
    q, *truth = ENCODERS[name]
    dimension = q.event_shape[0]
    noise = nodes(1000 if dimension == 1 else 40, dimension)
    surgery = elbo_surgery(q, standard_normal(dimension), q.mean + noise[:, None] * q.stddev)
    figures = [surgery.rate.item(), surgery.mutual_information.item(), surgery.marginal_kl.item()]
    assert figures[0] == pytest.approx(truth[0], abs=1e-8)
    assert figures == pytest.approx(truth, abs=1.5e-3)
    assert surgery.log_n == pytest.approx(math.log(len(q.mean)))
    assert figures[0] == pytest.approx(figures[1] + figures[2], abs=1e-10)


def over_repetitions(q: td.Distribution, prior: td.Distribution, samples: int, times: int) -> list[tuple[float, float]]:
    """Mean and standard error of the three terms over independent draws."""
    torch.manual_seed(0)
    runs = [elbo_surgery(q, prior, q.sample(torch.Size([samples]))) for _ in range(times)]
    terms = torch.tensor([[r.rate, r.mutual_information, r.marginal_kl] for r in runs])
    return list(zip(terms.mean(0).tolist(), (terms.std(0) / times**0.5).tolist(), strict=True))


@pytest.mark.parametrize("name", ENCODERS)
def test_terms_at_random_samples(name):
    q, *truth = ENCODERS[name]
    for (mean, error), exact in zip(over_repetitions(q, standard_normal(*q.event_shape), 20, 40), truth, strict=True):
        assert error < 0.01
        assert abs(mean - exact) < 4 * error + 1e-9


def bits(seed: int = 0) -> td.Distribution:
    logits = 2 * torch.randn(6, 3, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return td.Independent(td.Bernoulli(logits=logits), 1)


def test_bits_by_enumeration():
    q, prior = bits(), td.Independent(td.Bernoulli(logits=torch.tensor([0.5, 0.0, -1.0], dtype=torch.float64)), 1)
    log_q = q.log_prob(CODES[:, None])  # (8, 6)
    mixture, log_prior = log_q.logsumexp(1) - math.log(6), prior.log_prob(CODES)
    rate = (log_q.exp() * (log_q - log_prior[:, None])).sum(0).mean().item()
    marginal_kl = (mixture.exp() * (mixture - log_prior)).sum().item()
    torch.testing.assert_close(aggregated_log_prob(q, CODES), mixture)
    terms = over_repetitions(q, prior, 100, 40)
    for (mean, error), exact in zip(terms, (rate, rate - marginal_kl, marginal_kl), strict=True):
        assert error < 0.01
        assert abs(mean - exact) < 4 * error


def test_a_prior_equal_to_the_aggregated_posterior_is_at_no_distance():
    q = planar()
    prior = td.MixtureSameFamily(td.Categorical(torch.ones(20)), q)
    surgery = elbo_surgery(q, prior, q.sample((5,)))
    assert surgery.marginal_kl.item() == pytest.approx(0, abs=1e-6)
    assert surgery.rate.item() == pytest.approx(surgery.mutual_information.item(), abs=1e-6)


def test_error_bars_are_the_spread_over_data_sets():
    # x ~ N(0, 1), q = N(0.8 x, 0.6^2): the rate's terms vary with x and z, and its error must foretell by how much
    torch.manual_seed(0)
    runs: list[Surgery] = []
    for _ in range(200):
        q = gaussian(0.8 * torch.randn(60, 1, dtype=torch.float64), 0.6)
        runs.append(elbo_surgery(q, standard_normal(1), q.sample((2,))))
    spread = torch.stack([run.rate for run in runs]).std()
    told = torch.stack([run.rate_error for run in runs]).square().mean().sqrt()
    assert (told / spread).item() == pytest.approx(1, abs=4 / (2 * 200) ** 0.5)


def families() -> dict[str, td.Distribution]:
    torch.manual_seed(0)
    loc, scale = torch.randn(7, 2, 3).double(), 0.3 + torch.rand(7, 2, 3).double()
    return {
        "Gaussian": td.Independent(td.Normal(loc, scale), 2),
        "bits": td.Independent(td.Bernoulli(logits=loc), 2),
        "Laplace": td.Independent(td.Laplace(loc, scale), 2),
        "correlated": td.Independent(td.MultivariateNormal(loc, torch.eye(3).double() + 0.3), 1),
        "scalar": td.Normal(loc[:, 0, 0], scale[:, 0, 0]),
    }


@pytest.mark.parametrize("family", families())
@pytest.mark.parametrize("chunk", [1, 3, 1024])
def test_aggregated_posterior_is_torchs_mixture(family, chunk):
    q = families()[family]
    z = q.sample((4,))
    mixture = td.MixtureSameFamily(td.Categorical(torch.ones(7).double()), q)
    torch.testing.assert_close(aggregated_log_prob(q, z, chunk), mixture.log_prob(z), rtol=1e-10, atol=1e-10)


def test_aggregated_posterior_has_the_mixtures_gradient():
    torch.manual_seed(0)
    loc, scale = torch.randn(5, 3).double().requires_grad_(), (0.3 + torch.rand(5, 3)).double().requires_grad_()
    q, z = gaussian(loc, scale), torch.randn(4, 3).double().requires_grad_()
    mixture = td.MixtureSameFamily(td.Categorical(torch.ones(5).double()), q)
    expected = torch.autograd.grad(mixture.log_prob(z).sum(), (loc, scale, z))
    ours = torch.autograd.grad(aggregated_log_prob(q, z, chunk=2).sum(), (loc, scale, z))
    torch.testing.assert_close(ours, expected)


class LargestTensor(TorchDispatchMode):
    """Remembers how many values the largest result of any operation had."""

    size = 0

    def __torch_dispatch__(self, function, types, arguments=(), keywords=None):
        result = function(*arguments, **keywords or {})
        self.size = max(self.size, *(leaf.numel() for leaf in tree_leaves(result) if isinstance(leaf, Tensor)), 0)
        return result


@pytest.mark.parametrize("family", [td.Normal, td.Laplace])
def test_memory_does_not_grow_with_the_square_of_the_data(family):
    q = td.Independent(family(torch.randn(1000, 4), torch.ones(1000, 4)), 1)
    z = q.sample((2,))
    with LargestTensor() as largest:
        elbo_surgery(q, standard_normal(4), z, chunk=64)
    assert largest.size <= 2 * 1000 * 4 * 2  # the samples' statistics; all pairs would be 2 * 1000 * 1000 values


# -- the metric ------------------------------------------------------------------------------------------------------


def test_metric_over_uneven_batches_is_the_function_on_all():
    q, *_ = ENCODERS["varied"]
    torch.manual_seed(0)
    z = q.sample((3,))
    whole = elbo_surgery(q, standard_normal(1), z)
    metric = ELBOSurgery(chunk=16)
    for rows in torch.arange(50).split([31, 1, 18]):
        metric.update(gaussian(q.mean[rows], q.stddev[rows]), standard_normal(1), z[:, rows])
    figures = metric.compute()
    for name in Surgery.__dataclass_fields__:
        assert float(figures[name]) == pytest.approx(float(getattr(whole, name)), rel=1e-10)


def test_metric_with_a_limit_takes_the_first_observations():
    q, *_ = ENCODERS["varied"]
    torch.manual_seed(0)
    z = q.sample((3,))
    metric = ELBOSurgery(limit=35)
    for rows in torch.arange(50).split([31, 1, 18]):
        metric.update(gaussian(q.mean[rows], q.stddev[rows]), standard_normal(1), z[:, rows])
    assert metric.full
    first = elbo_surgery(gaussian(q.mean[:35], q.stddev[:35]), standard_normal(1), z[:, :35])
    figures = metric.compute()
    for name in Surgery.__dataclass_fields__:
        assert float(figures[name]) == pytest.approx(float(getattr(first, name)), rel=1e-10)
    with pytest.raises(ValueError, match="limit >= 1, or None for all rows; got 0"):
        ELBOSurgery(limit=0)


def test_metric_of_a_flow_serves_gaussians_too():
    metric, (q, _, information, _) = ELBOSurgery(), ENCODERS["disjoint"]
    metric.expect(Flowed(q.mean, q.stddev, q.mean, lambda context: td.AffineTransform(context, 2.0), q.event_shape))
    metric.update(q, standard_normal(1), q.mean[None])
    assert float(metric.compute()["mutual_information"]) == pytest.approx(information)


def test_metric_takes_bits_in_single_precision():
    q = td.Independent(td.Bernoulli(logits=bits().base_dist.logits.float()), 1)
    prior = td.Independent(td.Bernoulli(logits=torch.zeros(3)), 1)
    torch.manual_seed(0)
    z = q.sample((9,))
    metric = ELBOSurgery()
    metric.update(q, prior, z)
    expected = elbo_surgery(bits(), prior, z)
    assert metric.compute()["mutual_information"].item() == pytest.approx(expected.mutual_information.item(), abs=1e-6)


def test_metric_refuses_what_it_cannot_accumulate():
    q = td.Independent(td.Laplace(torch.zeros(4, 2), 1.0), 1)
    with pytest.raises(TypeError, match=r"got Independent.*: use functional\.elbo_surgery"):
        ELBOSurgery().update(q, standard_normal(2), q.sample((1,)))
    with pytest.raises(ValueError, match="chunk >= 1, got 0"):
        ELBOSurgery(chunk=0)


@pytest.mark.parametrize(
    ("prior", "z", "message"),
    [
        (standard_normal(2), torch.zeros(3, 4, 2), r"event shape \(1,\) and z \(3, 4, 2\)"),
        (standard_normal(2), torch.zeros(50, 1), r"z \(S, N, \*Z\)"),
        (standard_normal(2), torch.zeros(3, 50, 1), r"event shape \(1,\); got \(\) and \(2,\)"),
        (gaussian(torch.zeros(50, 1), 1.0), torch.zeros(3, 50, 1), r"prior of batch shape \(\)"),
    ],
)
def test_errors_are_one_clear_line(prior, z, message):
    with pytest.raises(ValueError, match=message) as raised:
        elbo_surgery(ENCODERS["overlapping"][0], prior, z)
    assert "\n" not in str(raised.value)


def test_aggregated_posterior_errors():
    q = ENCODERS["overlapping"][0]
    with pytest.raises(ValueError, match=r"batch shape \(50,\) and z \(3, 2\)"):
        aggregated_log_prob(q, torch.zeros(3, 2))
    with pytest.raises(ValueError, match="chunk >= 1, got 0"):
        aggregated_log_prob(q, torch.zeros(3, 1), chunk=0)
