"""Every family keeps the contract of its equation: p(x | eta) = h(x) exp(<eta, T(x)> - A(eta))."""

import itertools
import math

import numpy as np
import pytest
import torch
import torch.distributions as td
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from vae_lightning.families import (
    Bernoulli,
    BernoulliMRF,
    BlockNormal,
    Categorical,
    Multinomial,
    Normal,
    PartlyObserved,
    Poisson,
    Product,
)

ROWS = 4
TOTALS = torch.tensor([0.0, 1.0, 3.0, 4.0], dtype=torch.float64)


def compositions(total, parts):
    """Every way to write total as an ordered sum of so many counts."""
    return [c for c in itertools.product(range(total + 1), repeat=parts) if sum(c) == total]


def documents():
    """Every document over 3 words of each row's length, padded with weight 0: x (N, 4, 3), weight (N, 4)."""
    lists = [compositions(int(total), 3) for total in TOTALS]
    x = torch.zeros(max(map(len, lists)), ROWS, 3, dtype=torch.float64)
    weight = torch.zeros(x.shape[:2], dtype=torch.float64)
    for row, options in enumerate(lists):
        x[: len(options), row] = torch.tensor(options, dtype=torch.float64)
        weight[: len(options), row] = 1
    return x, weight


def discrete(points):
    """All points of a finite support, each of weight 1."""
    x = torch.tensor(points, dtype=torch.float64)[:, None]
    return x.expand(-1, ROWS, *x.shape[2:]), torch.ones(len(x), ROWS, dtype=torch.float64)


def plane(nodes=160, reach=16.0):
    """Gauss-Legendre nodes and weights over a square of the plane wide enough for the Normals below."""
    z, w = (torch.tensor(a) * reach for a in np.polynomial.legendre.leggauss(nodes))
    x, weight = torch.cartesian_prod(z, z), torch.cartesian_prod(w, w).prod(-1)
    return x[:, None].expand(-1, ROWS, 2), weight[:, None].expand(-1, ROWS)


class OneWithTwo:
    """One bit and two others that depend on it, by torch: p(z1) and p(z2 | z1) from eta = (b1, b2, V)."""

    def __init__(self, eta):
        self.b1, self.b2, self.v = eta[:, 0], eta[:, 1:3], eta[:, 3:]

    def log_prob(self, z):
        on, off = (torch.nn.functional.softplus(b).sum(-1) for b in (self.b2 + self.v, self.b2))
        second = td.Independent(td.Bernoulli(logits=self.b2 + z[..., :1] * self.v), 1)
        return td.Bernoulli(logits=self.b1 + on - off).log_prob(z[..., 0]) + second.log_prob(z[..., 1:])


def correlated(eta):
    """A pair of Gaussians by torch, from eta = (P mean, -P_ii / 2, -P_12)."""
    linear, squares, product = eta.split((2, 2, 1), -1)
    precision = torch.diag_embed(-2 * squares) - product[..., None] * torch.eye(2, dtype=eta.dtype).flip(0)
    return td.MultivariateNormal((precision.inverse() @ linear[..., None])[..., 0], precision_matrix=precision)


def one_hot(k, size):
    return [float(i == k) for i in range(size)]


TABLE = Product([Bernoulli(1), Categorical(3), Poisson(1), Categorical(2, 1)])


def table():
    """Every row of a bit, a category of three, a count that is small, and one of two."""
    return discrete(list(itertools.product(range(2), range(3), range(30), range(2))))


class Parts:
    """The columns of such rows apart, by torch."""

    def __init__(self, eta):
        bit, three, count, two = eta.split((1, 3, 1, 2), -1)
        self.parts = [
            td.Bernoulli(logits=bit[..., 0]),
            td.Categorical(logits=three),
            td.Poisson(count[..., 0].exp()),
            td.Categorical(logits=two),
        ]

    def log_prob(self, x):
        return sum(part.log_prob(column) for part, column in zip(self.parts, x.unbind(-1), strict=True))


CASES = {
    "bernoulli": (
        Bernoulli((2, 2)),
        lambda: discrete([[c[:2], c[2:]] for c in itertools.product((0.0, 1.0), repeat=4)]),
        lambda eta: td.Independent(td.Bernoulli(logits=eta.unflatten(-1, (2, 2))), 2),
    ),
    "categorical": (
        Categorical(3, (2,)),
        lambda: discrete([[one_hot(a, 3), one_hot(b, 3)] for a in range(3) for b in range(3)]),
        lambda eta: td.Independent(td.OneHotCategorical(logits=eta.unflatten(-1, (2, 3))), 1),
    ),
    "one categorical": (
        Categorical(4),
        lambda: discrete([one_hot(k, 4) for k in range(4)]),
        lambda eta: td.OneHotCategorical(logits=eta),
    ),
    "normal": (
        Normal(2),
        plane,
        lambda eta: td.Independent(td.Normal(-0.5 * eta[..., :2] / eta[..., 2:], (-0.5 / eta[..., 2:]).sqrt()), 1),
    ),
    "normal of fixed scale": (
        Normal(2, scale=0.8),
        plane,
        lambda eta: td.Independent(td.Normal(eta * 0.64, 0.8), 1),
    ),
    "normal in blocks": (BlockNormal(2, 2), plane, correlated),
    "normal in blocks of one": (
        BlockNormal(2, 1),
        plane,
        lambda eta: td.Independent(td.Normal(-0.5 * eta[..., :2] / eta[..., 2:], (-0.5 / eta[..., 2:]).sqrt()), 1),
    ),
    "poisson": (
        Poisson(2),
        lambda: discrete(list(itertools.product(range(30), repeat=2))),
        lambda eta: td.Independent(td.Poisson(eta.exp()), 1),
    ),
    "product": (TABLE, table, Parts),
    "partly observed": (PartlyObserved(TABLE), table, Parts),
    "multinomial": (Multinomial(3).given(TOTALS), documents, None),
    "pairs of bits": (
        BernoulliMRF(1, 2),
        lambda: discrete(list(itertools.product((0.0, 1.0), repeat=3))),
        OneWithTwo,
    ),
}


@pytest.fixture(params=CASES, ids=str)
def case(request):
    """The family, natural parameters (4, P), all its points (N, 4, *E) with their weights (N, 4), and torch's own."""
    family, points, reference = CASES[request.param]
    torch.manual_seed(0)
    theta = torch.randn(ROWS, family.num_parameters, dtype=torch.float64) * 0.3
    x, weight = points()
    return family, family.constrain(theta), x, weight, reference


def test_log_density_is_the_equation(case):
    family, eta, x, weight, _ = case
    expected = (eta * family.sufficient_statistics(x)).sum(-1) - family.log_partition(eta) + family.log_base_measure(x)
    log_prob = family.distribution(eta).log_prob(x)
    assert log_prob.shape == weight.shape
    torch.testing.assert_close(log_prob[weight > 0], expected[weight > 0], rtol=1e-10, atol=1e-10)


def test_normalised(case):
    family, eta, x, weight, _ = case
    total = (weight * family.distribution(eta).log_prob(x).exp()).sum(0)
    torch.testing.assert_close(total, torch.ones(ROWS, dtype=torch.float64), rtol=1e-10, atol=1e-10)


def test_gradient_of_the_log_partition_is_the_mean_statistic(case):
    family, eta, x, weight, _ = case
    eta = eta.detach().requires_grad_()
    (gradient,) = torch.autograd.grad(family.log_partition(eta).sum(), eta)
    probability = weight * family.distribution(eta).log_prob(x).exp()
    expected = (probability[..., None] * family.sufficient_statistics(x)).sum(0)
    torch.testing.assert_close(gradient, expected, rtol=1e-9, atol=1e-9)


def test_like_torch_and_scipy(case):
    family, eta, x, weight, reference = case
    log_prob = family.distribution(eta).log_prob(x)
    if reference is not None:
        return torch.testing.assert_close(log_prob, reference(eta).log_prob(x), rtol=1e-10, atol=1e-10)
    for row, total in enumerate(TOTALS):
        own = weight[:, row] > 0
        expected = stats.multinomial(int(total), eta[row].softmax(-1).numpy()).logpmf(x[own, row].numpy())
        np.testing.assert_allclose(log_prob[own, row], np.atleast_1d(expected), rtol=1e-10, atol=1e-10)


def test_mean_and_samples(case):
    """The mean is exact; that of 20,000 samples is within 4 standard errors of it."""
    family, eta, x, weight, _ = case
    distribution = family.distribution(eta)
    probability = weight * distribution.log_prob(x).exp()
    mean = torch.einsum("nb,nbe->be", probability, x.flatten(2)).unflatten(-1, family.event_shape)
    torch.testing.assert_close(distribution.mean, mean, rtol=1e-9, atol=1e-9)
    torch.manual_seed(1)
    samples = distribution.sample(torch.Size([20_000]))
    assert samples.shape == (20_000, ROWS, *family.event_shape)
    error = samples.std(0) / math.sqrt(20_000)
    assert ((samples.mean(0) - mean).abs() <= 4 * error + 1e-9).all()


def test_shapes(case):
    """Batch and event shapes are told apart for no batch axis, and for several."""
    family, eta, *_ = case
    family = family.given(torch.tensor(2.0)) if isinstance(family, Multinomial) else family
    for batch in ((), (1,), (5, 1, 3)):
        distribution = family.distribution(eta[0].expand(*batch, -1))
        x = distribution.sample()
        assert distribution.batch_shape == batch
        assert distribution.event_shape == family.event_shape
        assert x.shape == (*batch, *family.event_shape)
        assert distribution.log_prob(x).shape == batch
        assert family.sufficient_statistics(x).shape == (*batch, family.num_parameters)
        assert family.log_base_measure(x).shape == family.log_partition(eta[0].expand(*batch, -1)).shape == batch


@pytest.mark.parametrize("name", CASES)
@given(data=st.data())
def test_any_real_vector_is_a_member(name, data):
    """In single precision, whatever a network emits between -1e6 and 1e6 has a finite density with finite gradient."""
    family, *_ = CASES[name]
    numbers = st.floats(-1e6, 1e6, width=32)
    theta = torch.tensor(data.draw(st.lists(numbers, min_size=family.num_parameters, max_size=family.num_parameters)))
    theta = theta.requires_grad_()
    family = family.given(torch.tensor(2.0)) if isinstance(family, Multinomial) else family
    distribution = family.distribution(family.constrain(theta))
    x = distribution.sample()
    log_prob = distribution.log_prob(x)
    assert log_prob.isfinite()
    assert torch.autograd.grad(log_prob, theta)[0].isfinite().all()
    assert family.log_partition(family.constrain(theta)).isfinite()


def test_a_network_emits_mean_and_log_sigma():
    theta = torch.tensor([[0.3, -2.0, 0.5, -1.0]], dtype=torch.float64)
    normal = Normal(2).distribution(Normal(2).constrain(theta)).base_dist
    torch.testing.assert_close(normal.mean, theta[:, :2])
    torch.testing.assert_close(normal.stddev, theta[:, 2:].exp())
    fixed = Normal(4, scale=0.1)
    fixed = fixed.distribution(fixed.constrain(theta)).base_dist
    torch.testing.assert_close(fixed.mean, theta)
    torch.testing.assert_close(fixed.stddev, torch.full_like(theta, 0.1))


def test_what_a_harmonium_may_couple():
    assert Normal(3).coupled == slice(0, 3)
    assert Normal((2, 2), scale=1.0).coupled == slice(0, 4)
    assert Bernoulli(5).coupled == slice(0, 5)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: Bernoulli(0), r"at least one entry, got \(0,\)"),
        (lambda: Bernoulli((3, 0)), r"at least one entry, got \(3, 0\)"),
        (lambda: Normal(()), r"at least one entry, got \(\)"),
        (lambda: Normal(-1), "Normal needs an event shape"),
        (lambda: Normal(2, scale=0.0), "positive finite scale .*, got 0.0"),
        (lambda: Normal(2, scale=float("nan")), "positive finite scale"),
        (lambda: Categorical(1), "at least 2 classes, got 1"),
        (lambda: Categorical(3, (0,)), "at least one entry"),
        (lambda: Multinomial(1), "at least 2 words, got 1"),
        (lambda: Multinomial(3).log_partition(torch.zeros(2, 3)), r"use given\(total\)"),
        (lambda: Multinomial(3).distribution(torch.zeros(2, 3)).sample(), r"use Multinomial.given\(total\)"),
        (lambda: Multinomial(3).distribution(torch.zeros(2, 3)).mean, r"use Multinomial.given\(total\)"),
    ],
)
def test_errors_say_what_is_wrong(build, message):
    with pytest.raises(ValueError, match=message):
        build()
