"""Every estimator x {ELBO, importance-weighted bound}: its mean is the bound and the gradient found by enumeration."""

import itertools
import math

import numpy as np
import pytest
import torch
import torch.distributions as td
from support.goldens import BOUND, F_BY_CODE, GRADIENT, LOGITS, TOTAL_VARIANCE, VARIANCE

from vae_lightning.estimators import (
    ARM,
    DisARM,
    Enumerated,
    LeaveOneOut,
    Reinforce,
    Reparameterised,
    log_mean_exp,
    mean,
)
from vae_lightning.randomness import Noise

AGGREGATES = [pytest.param(mean, id="elbo"), pytest.param(log_mean_exp, id="iwae")]
TABLE = torch.tensor(F_BY_CODE, dtype=torch.float64)
CODES = torch.tensor(list(itertools.product((0.0, 1.0), repeat=3)), dtype=torch.float64)
DECODER = torch.tensor([0.4, -0.7, 0.2], dtype=torch.float64)


def bits(logits):
    return td.Independent(td.Bernoulli(logits=logits, validate_args=False), 1)


def integrand(logits, decoder):
    """An arbitrary table of values, plus a decoder's part, minus log q: f depends on the parameters directly too."""
    place = torch.tensor([4, 2, 1])

    def f(z):
        return TABLE[(z.long() * place).sum(-1)] + (decoder * z).sum(-1).sin() - bits(logits).log_prob(z)

    return f


def brute_force(aggregate, num_samples):
    """The bound and its gradients: a plain loop over all tuples of codes, nothing of the package but the aggregate."""
    logits, decoder = LOGITS_TENSOR.clone().requires_grad_(), DECODER.clone().requires_grad_()
    log_q = [
        sum(-torch.nn.functional.softplus(-(2 * b - 1) * a) for a, b in zip(logits, z, strict=True)) for z in CODES
    ]
    values = [TABLE[k] + (decoder * z).sum().sin() - log_q[k] for k, z in enumerate(CODES)]
    total = 0.0
    for choice in itertools.product(range(len(CODES)), repeat=num_samples):
        weight = sum(log_q[k] for k in choice).exp()
        chosen = torch.stack([values[k] for k in choice])
        bound = chosen.mean() if aggregate is mean else chosen.exp().mean().log()
        total = total + weight * bound
    return total.detach(), *torch.autograd.grad(total, (logits, decoder))


LOGITS_TENSOR = torch.tensor(LOGITS, dtype=torch.float64)
TRUTH = {(a, s): brute_force(a, s) for a in (mean, log_mean_exp) for s in (1, 2, 3)}
TRUTH |= {(mean, 4): TRUTH[mean, 1]}


def per_row(estimator, aggregate, rows):
    """The bound and gradients of `rows` independent replications, from one call on identical rows."""
    logits = LOGITS_TENSOR.expand(rows, 3).clone().requires_grad_()
    decoder = DECODER.expand(rows, 3).clone().requires_grad_()
    bound = estimator(bits(logits), integrand(logits, decoder), aggregate)
    return bound.detach(), *torch.autograd.grad(bound.sum(), (logits, decoder))


class Fixed(Noise):
    """Noise that is given, instead of drawn."""

    def __init__(self, noise):
        self.noise = noise

    def uniform(self, shape, like):
        assert tuple(shape) == self.noise.shape
        return self.noise

    normal = uniform


def noise_grid(num_samples):
    """Nodes u (S, N, 3) and weights (N,) that integrate exactly whatever is, between the points where a code or its
    antithetic one changes, a polynomial of degree 3 in each u: two Gauss-Legendre nodes on each of three intervals."""
    nodes, weights = [], []
    for p in LOGITS_TENSOR.sigmoid().tolist():
        edges = sorted((0.0, p, 1 - p, 1.0))
        pairs = [
            ((a + b) / 2 + s * (b - a) / math.sqrt(12), (b - a) / 2)
            for a, b in itertools.pairwise(edges)
            for s in (-1, 1)
        ]
        nodes.append([u for u, _ in pairs])
        weights.append([w for _, w in pairs])
    u = torch.cartesian_prod(*[torch.tensor(n, dtype=torch.float64) for n in nodes])
    w = torch.cartesian_prod(*[torch.tensor(n, dtype=torch.float64) for n in weights]).prod(-1)
    tuples = torch.cartesian_prod(*[torch.arange(len(u))] * num_samples).reshape(-1, num_samples)
    return u[tuples].movedim(1, 0), w[tuples].prod(-1)


DISCRETE = [(Reinforce, 1), (Reinforce, 2), (LeaveOneOut, 2), (ARM, 1), (ARM, 2), (DisARM, 1), (DisARM, 2)]


@pytest.mark.parametrize("aggregate", AGGREGATES)
@pytest.mark.parametrize("num_samples", [1, 2, 3])
def test_enumerated_is_the_sum_over_all_codes(num_samples, aggregate):
    found = per_row(Enumerated(num_samples), aggregate, rows=2)
    for value, true in zip(found, TRUTH[aggregate, num_samples], strict=True):
        torch.testing.assert_close(value, true.expand_as(value), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("aggregate", AGGREGATES)
@pytest.mark.parametrize(("kind", "num_samples"), DISCRETE)
def test_unbiased_when_the_noise_is_integrated_exactly(kind, num_samples, aggregate):
    u, weight = noise_grid(num_samples)
    estimator = kind(num_samples)
    estimator.noise = Fixed(u)
    found = per_row(estimator, aggregate, rows=len(weight))
    for value, true in zip(found, TRUTH[aggregate, num_samples], strict=True):
        torch.testing.assert_close(torch.tensordot(weight, value, 1), true, rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("aggregate", AGGREGATES)
@pytest.mark.parametrize(
    ("kind", "num_samples"), [*DISCRETE, *((k, s) for k in (Reinforce, LeaveOneOut, ARM, DisARM) for s in (3, 4))]
)
def test_unbiased_over_replications(kind, num_samples, aggregate):
    """Within 4 standard errors over 40,000 replications, in each of the seven numbers."""
    if (aggregate, num_samples) not in TRUTH:
        TRUTH[aggregate, num_samples] = per_row(Enumerated(num_samples), aggregate, 1)  # itself checked up to 3 above
        TRUTH[aggregate, num_samples] = tuple(t[0] for t in TRUTH[aggregate, num_samples])
    torch.manual_seed(0)
    rows = 40_000
    for value, true in zip(per_row(kind(num_samples), aggregate, rows), TRUTH[aggregate, num_samples], strict=True):
        error = value.std(0) / math.sqrt(rows)
        assert ((value.mean(0) - true).abs() <= 4 * error).all(), (value.mean(0), true, error)


def plain_gradient(estimator, rows):
    """Gradients (rows, 3) of E f for the goldens' f, a table with no parameters."""
    logits = LOGITS_TENSOR.expand(rows, 3).clone().requires_grad_()
    bound = estimator(bits(logits), lambda z: TABLE[(z.long() * torch.tensor([4, 2, 1])).sum(-1)], mean)
    return bound.detach(), torch.autograd.grad(bound.sum(), logits)[0]


@pytest.mark.parametrize(
    ("kind", "num_samples"), [(ARM, 1), (DisARM, 1), (LeaveOneOut, 2), (Reinforce, 1), (Reinforce, 2)]
)
def test_variance_is_the_golden_one_exactly(kind, num_samples):
    u, weight = noise_grid(num_samples)
    estimator = kind(num_samples)
    estimator.noise = Fixed(u)
    bound, gradient = plain_gradient(estimator, len(weight))
    average = weight @ gradient
    variance = weight @ (gradient - average).square()
    name = f"{kind.__name__}-{num_samples}"
    np.testing.assert_allclose(weight @ bound, BOUND, rtol=1e-12)
    np.testing.assert_allclose(average, GRADIENT, rtol=1e-12)
    np.testing.assert_allclose(variance, VARIANCE[name], rtol=1e-12)
    np.testing.assert_allclose(variance.sum(), TOTAL_VARIANCE[name], rtol=1e-12)


@pytest.mark.parametrize(
    ("kind", "num_samples"), [(ARM, 1), (DisARM, 1), (LeaveOneOut, 2), (Reinforce, 1), (Reinforce, 2)]
)
def test_variance_over_replications(kind, num_samples):
    """Within 4 standard errors, sqrt((m4 - m2^2) / n), over 200,000 draws of the package's own noise."""
    torch.manual_seed(1)
    _, gradient = plain_gradient(kind(num_samples), 200_000)
    squares = (gradient - torch.tensor(GRADIENT)).square()
    error = squares.std(0) / math.sqrt(len(squares))
    true = torch.tensor(VARIANCE[f"{kind.__name__}-{num_samples}"])
    assert ((squares.mean(0) - true).abs() <= 4 * error).all(), (squares.mean(0), true, error)


def test_more_pairs_divide_the_variance():
    u, weight = noise_grid(2)
    for kind in (ARM, DisARM):
        estimator = kind(2)
        estimator.noise = Fixed(u)
        _, gradient = plain_gradient(estimator, len(weight))
        variance = weight @ (gradient - weight @ gradient).square()
        np.testing.assert_allclose(variance, np.divide(VARIANCE[f"{kind.__name__}-1"], 2), rtol=1e-11)


@pytest.mark.parametrize("num_samples", [2, 5])
def test_leave_one_out_is_vimco_under_log_mean_exp(num_samples):
    """Mnih and Rezende (2016), Eqs. 7-9: signal log 1/K sum f_i - log 1/K (sum_{i != j} f_i + their geometric mean)."""
    torch.manual_seed(2)
    rows = 7
    u = torch.rand(num_samples, rows, 3, dtype=torch.float64)
    logits = torch.randn(rows, 3, dtype=torch.float64).requires_grad_()
    log_f = integrand(logits.detach(), DECODER)
    estimator = LeaveOneOut(num_samples)
    estimator.noise = Fixed(u)
    (found,) = torch.autograd.grad(estimator(bits(logits), log_f, log_mean_exp).sum(), logits)

    z = (u < logits.sigmoid()).double()
    f = log_f(z).exp()
    expected = torch.zeros_like(logits)
    for j in range(num_samples):
        others = [i for i in range(num_samples) if i != j]
        geometric_mean = torch.stack([f[i] for i in others]).prod(0) ** (1 / len(others))
        baseline = ((sum(f[i] for i in others) + geometric_mean) / num_samples).log()
        signal = (f.sum(0) / num_samples).log() - baseline
        expected += signal[:, None] * (z[j] - logits.detach().sigmoid())
    torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("aggregate", AGGREGATES)
@pytest.mark.parametrize("estimator", [Reinforce(1), LeaveOneOut(3)], ids=repr)
def test_one_hot_posteriors(estimator, aggregate):
    """Within 4 standard errors of Enumerated over 40,000 replications."""
    table = torch.tensor([0.5, -1.0, 2.0], dtype=torch.float64)
    theta = torch.tensor([0.2, -0.3, 0.9], dtype=torch.float64)

    def run(estimator, rows):
        logits = theta.expand(rows, 3).clone().requires_grad_()
        bound = estimator(td.Independent(td.OneHotCategorical(logits=logits), 0), lambda z: z @ table, aggregate)
        return bound.detach(), torch.autograd.grad(bound.sum(), logits)[0]

    torch.manual_seed(3)
    for value, true in zip(run(estimator, 40_000), run(Enumerated(estimator.num_samples), 1), strict=True):
        assert ((value.mean(0) - true[0]).abs() <= 4 * value.std(0) / 200).all()


NODES, WEIGHTS = (torch.tensor(a) for a in np.polynomial.hermite_e.hermegauss(60))
WEIGHTS = WEIGHTS / WEIGHTS.sum()


def gaussian_f(z, mu, sigma):
    """Not quadratic, and with direct dependence on q's parameters, as log p(x, z) - log q(z) has."""
    return (z.sin() - 0.3 * z.square() - td.Normal(mu, sigma).log_prob(z)).sum(-1)


def normal_parameters(rows):
    mu, sigma = torch.tensor([0.4], dtype=torch.float64), torch.tensor([0.7], dtype=torch.float64)
    return mu.expand(rows, 1).clone().requires_grad_(), sigma.expand(rows, 1).clone().requires_grad_()


def by_quadrature(aggregate, num_samples):
    mu, sigma = normal_parameters(1)
    grid = torch.cartesian_prod(*[torch.arange(60)] * num_samples).reshape(-1, num_samples)
    z = mu + sigma * NODES[grid].T[..., None]
    bound = (WEIGHTS[grid].prod(-1) * aggregate(gaussian_f(z, mu, sigma))).sum()
    return bound.detach(), *torch.autograd.grad(bound, (mu, sigma))


@pytest.mark.parametrize("aggregate", AGGREGATES)
@pytest.mark.parametrize("estimator", [Reparameterised(1), Reparameterised(2), LeaveOneOut(2), Reinforce(2)], ids=repr)
def test_normal_posteriors(estimator, aggregate):
    """Within 4 standard errors of Gauss-Hermite quadrature over 40,000 replications."""
    torch.manual_seed(4)
    mu, sigma = normal_parameters(40_000)
    q = td.Independent(td.Normal(mu, sigma), 1)
    bound = estimator(q, lambda z: gaussian_f(z, mu, sigma), aggregate)
    found = bound.detach(), *torch.autograd.grad(bound.sum(), (mu, sigma))
    for value, true in zip(found, by_quadrature(aggregate, estimator.num_samples), strict=True):
        assert ((value.mean(0) - true).abs() <= 4 * value.std(0) / 200).all(), (value.mean(0), true)


@pytest.mark.parametrize("aggregate", AGGREGATES)
def test_reparameterised_is_quadrature_when_fed_the_nodes(aggregate):
    mu, sigma = normal_parameters(60)
    estimator = Reparameterised(1)
    estimator.noise = Fixed(NODES[None, :, None])
    bound = estimator(td.Independent(td.Normal(mu, sigma), 1), lambda z: gaussian_f(z, mu, sigma), aggregate)
    found = bound.detach(), *torch.autograd.grad(bound.sum(), (mu, sigma))
    for value, true in zip(found, by_quadrature(aggregate, 1), strict=True):
        torch.testing.assert_close((WEIGHTS @ value).flatten(), true.flatten(), rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize(
    "estimator", [Enumerated(2), Reinforce(1), Reinforce(3), LeaveOneOut(3), ARM(1), ARM(3), DisARM(2)], ids=repr
)
def test_codes_of_any_shape_and_rows_of_their_own(estimator):
    """A code of shape (2, 1); each row's bound depends on that row alone."""
    torch.manual_seed(5)
    logits = torch.randn(4, 2, 1, requires_grad=True)
    q = td.Independent(td.Bernoulli(logits=logits), 2)
    bound = estimator(q, lambda z: z.sum((-1, -2)), mean)
    assert bound.shape == (4,)
    (gradient,) = torch.autograd.grad(bound[1], logits)
    assert gradient.shape == (4, 2, 1)
    assert not gradient[[0, 2, 3]].any()


def test_a_large_surrogate_costs_the_bound_no_digits():
    """In single precision: the value is the aggregate of f to the last bit, for codes whose log q is far from 0."""
    torch.manual_seed(6)
    q = bits(torch.full((5, 300), 3.0, requires_grad=True))
    bound = LeaveOneOut(2)(q, lambda z: -500.3 + 7.7 * z.sum(-1), mean)
    torch.manual_seed(6)
    z = LeaveOneOut(2).noise.uniform((2, 5, 300), torch.zeros(())) < torch.tensor(3.0).sigmoid()
    assert torch.equal(bound, mean(-500.3 + 7.7 * z.float().sum(-1)))


def normal_posterior():
    return td.Independent(td.Normal(torch.zeros(2, 3), torch.ones(2, 3)), 1)


@pytest.mark.parametrize(
    ("estimator", "q", "error", "message"),
    [
        (Reparameterised(), bits(torch.zeros(2, 3)), TypeError, "Bernoulli.*use DisARM or LeaveOneOut, or Enumerated"),
        (
            ARM(),
            normal_posterior(),
            TypeError,
            r"ARM needs a factorised Bernoulli posterior, got Normal; use LeaveOneOut",
        ),
        (DisARM(), td.Bernoulli(torch.zeros(2)), TypeError, "DisARM needs a factorised Bernoulli"),
        (Enumerated(), normal_posterior(), TypeError, "discrete posterior, got Normal; use Reparameterised"),
        (Enumerated(), bits(torch.zeros(2, 17)), ValueError, r"2\^17 terms, the limit is 2\^16; use DisARM"),
        (Enumerated(2), bits(torch.zeros(2, 9)), ValueError, r"2\^18 terms"),
    ],
)
def test_an_estimator_that_does_not_fit_says_which_does(estimator, q, error, message):
    with pytest.raises(error, match=message):
        estimator.check(q)
    with pytest.raises(error, match=message):
        estimator(q, lambda z: z.sum(-1), mean)


@pytest.mark.parametrize("kind", [Enumerated, Reparameterised, Reinforce, LeaveOneOut, ARM, DisARM])
def test_no_samples_is_an_error(kind):
    fewest = 2 if kind is LeaveOneOut else 1
    with pytest.raises(ValueError, match=f"{kind.__name__} needs num_samples >= {fewest}, got 0"):
        kind(0)


def test_leave_one_out_needs_another_sample():
    with pytest.raises(ValueError, match=r"LeaveOneOut needs num_samples >= 2.*use Reinforce"):
        LeaveOneOut(1)


def test_sixteen_bits_can_be_enumerated():
    bound = Enumerated()(bits(torch.zeros(1, 16)), lambda z: z.sum(-1), mean)
    torch.testing.assert_close(bound, torch.tensor([8.0]))
