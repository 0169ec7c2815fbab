"""The worlds of the LiBI paper against closed forms, brute force and reference values from independent quadrature."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Generator, Tensor
from torch.distributions import MultivariateNormal, kl_divergence

from vae_lightning.data import Synthetic
from vae_lightning.data.processes import (
    CubicJTEx,
    Gaussian,
    GaussianMixture,
    LatentProcess,
    LinearGaussian,
    LinearJTEx,
    Mobius,
    Process,
    Univariate,
)

LATENT = [LinearJTEx(), CubicJTEx(), Gaussian(), Mobius(), Univariate(0.05, 0.01)]
LINEAR = [process for process in LATENT if isinstance(process, LinearGaussian)]
PRIOR = MultivariateNormal(torch.zeros(2, dtype=torch.float64), torch.eye(2, dtype=torch.float64))

# the optimum of the ELBO over theta = A, from 61 starts of another optimiser of the exact objective
THETA_STAR = [[0.6252654922, 0.1684123943], [0.1684123943, 2.8750578185]]
SHORTFALL, LOG_LIKELIHOOD, POSTERIOR_GAP = 0.1961775085, -3.1328361179, 0.0341187875


def double(values: list[list[float]]) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)


def assert_means(drawn: Tensor, expected: Tensor) -> None:
    """The mean over rows is within 4 standard errors of what is expected, in every entry."""
    error = drawn.std(0) / len(drawn) ** 0.5
    assert ((drawn.mean(0) - expected).abs() < 4 * error + 1e-12).all()


def outer(a: Tensor, b: Tensor) -> Tensor:
    return a[:, :, None] * b[:, None, :]


# --- every process ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("process", [*LATENT, GaussianMixture()], ids=repr)
def test_synthetic_draws_from_each_and_each_knows_its_density(process: Process) -> None:
    data = Synthetic(process, (40, 8, 8), batch_size=10)
    data.setup("fit")
    x, _ = next(iter(data.train_dataloader()))
    assert x.dtype == torch.float32
    assert x.shape == (10, *process.event_shape)
    assert process.log_prob(x).dtype == torch.float32
    assert process.log_prob(x.reshape(2, 5, -1)).shape == (2, 5)
    assert process.log_prob(x[0]).shape == ()
    assert process.log_prob(x.double()).isfinite().all()


@pytest.mark.parametrize("process", LATENT, ids=repr)
def test_pairs_have_a_standard_normal_code_and_the_noise(process: LatentProcess) -> None:
    z, x = process.sample_joint(50_000, Generator().manual_seed(0))
    noise = (x.double() - process.decode(z.double())) / process.noise_variance.sqrt()
    both = torch.cat([z.double(), noise], -1)
    assert_means(both, torch.zeros(both.shape[1]))
    assert_means(outer(both, both), torch.eye(both.shape[1]))
    assert torch.equal(process.sample(50_000, Generator().manual_seed(0)), x)


@pytest.mark.parametrize("process", LINEAR, ids=repr)
def test_linear_worlds_have_their_covariances(process: LinearGaussian) -> None:
    z, x = (values.double() for values in process.sample_joint(50_000, Generator().manual_seed(1)))
    assert_means(outer(x, x), process.covariance)
    assert_means(outer(x, z), process.weight)


def test_moments_of_the_curved_worlds() -> None:
    """E u^6 = 15 E[u^2]^3 for a normal u; the mean of a conformal map is its value at the center."""
    x = CubicJTEx().sample(50_000, Generator().manual_seed(2)).double()
    assert_means(x.square(), 15 * (torch.tensor([0.625, 3.25], dtype=torch.float64) + 0.006) ** 3 + 0.004)
    center = (1 + 4j) / (7 + 4j)
    x = Mobius().sample(50_000, Generator().manual_seed(3)).double()
    assert_means(x, torch.tensor([center.real, center.imag]))


# --- LinearJTEx and Gaussian: the joint normal of (x, z), and reference values ----------------------------------------


@pytest.mark.parametrize("process", LINEAR, ids=repr)
def test_closed_forms_are_those_of_the_joint_normal(process: LinearGaussian) -> None:
    """Marginal, posterior and information by conditioning and by determinants of the joint covariance."""
    dims, weight, noise = len(process.weight), process.weight, process.noise_variance.diag()
    latent = torch.eye(weight.shape[1], dtype=torch.float64)
    marginal = weight @ weight.T + noise
    joint = torch.cat([torch.cat([marginal, weight], 1), torch.cat([weight.T, latent], 1)])
    information = 0.5 * (marginal.logdet() - joint.logdet())
    assert float(process.mutual_information()) == pytest.approx(float(information), abs=1e-8)
    x = process.sample(4, Generator().manual_seed(4)).double()
    posterior = process.posterior(x)
    gain = joint[dims:, :dims] @ torch.linalg.inv(marginal)
    torch.testing.assert_close(posterior.mean, x @ gain.T, rtol=1e-6, atol=1e-8)
    torch.testing.assert_close(posterior.covariance_matrix[0], latent - gain @ weight, rtol=1e-6, atol=1e-9)
    z = torch.randn(4, weight.shape[1], dtype=torch.float64, generator=Generator().manual_seed(5))
    bayes = process.log_joint(x, z) - posterior.log_prob(z)
    torch.testing.assert_close(process.log_prob(x), bayes, rtol=1e-7, atol=1e-7)


@pytest.mark.parametrize("process", LINEAR, ids=repr)
def test_the_mean_field_gaussian_is_the_best_and_its_gap_is_a_kl(process: LinearGaussian) -> None:
    x = torch.zeros(process.event_shape, dtype=torch.float64)
    posterior, q = process.posterior(x), process.mean_field()

    def kl(scale: float) -> float:
        return float(kl_divergence(MultivariateNormal(q(x).mean, (scale * q.variance).diag()), posterior))

    assert kl(1.0) == pytest.approx(float(process.posterior_gap()), abs=1e-9)
    assert kl(1.0) < min(kl(0.99), kl(1.01))
    expected = float(process.expected_log_prob(process) - process.posterior_gap())
    assert float(process.expected_elbo(process)) == pytest.approx(expected, abs=1e-8)


def test_linear_jtex_at_the_truth() -> None:
    world = LinearJTEx()
    close = {"rtol": 1e-8, "atol": 1e-9}
    torch.testing.assert_close(world.covariance, double([[0.635, 0.875], [0.875, 3.26]]), **close)
    torch.testing.assert_close(world.weight, double([[0.7943550843, 0], [1.1015225020, 1.4292124326]]), **close)
    precision = double([[462.0879556256, 393.5774136764], [393.5774136764, 511.6620443740]])
    torch.testing.assert_close(world.posterior_precision(), precision, **close)
    gain = double([[1.2462986149, 0.0033776730], [-0.9586698699, 0.6957204199]])
    torch.testing.assert_close(world.posterior_weight(), gain, **close)
    assert world.mean_field().variance.tolist() == pytest.approx([0.0021640902, 0.0019544150], abs=1e-10)
    assert float(world.entropy()) == pytest.approx(2.9707773968994, abs=1e-12)
    assert float(world.shortfall(world)) == pytest.approx(0.5323485470, abs=1e-10)
    assert float(world.expected_elbo(world)) == pytest.approx(-3.5031259439, abs=1e-10)
    assert float(kl_divergence(world.aggregated_posterior(world), PRIOR)) == pytest.approx(1.94376e-5, rel=1e-5)


def maximise(objective: Callable[[LinearJTEx], Tensor]) -> LinearJTEx:
    """The world whose A maximises the objective, from the truth, by a quasi-Newton method."""
    mixing = double([[0.75, 0.25], [1.5, -1.0]]).requires_grad_()
    optimizer = torch.optim.LBFGS(
        [mixing], max_iter=200, tolerance_grad=1e-10, tolerance_change=1e-14, line_search_fn="strong_wolfe"
    )

    def closure() -> Tensor:
        optimizer.zero_grad()
        loss = -objective(LinearJTEx(mixing))
        loss.backward()
        return loss

    optimizer.step(closure)
    return LinearJTEx(mixing.detach())


def test_the_elbo_prefers_another_world() -> None:
    """Its optimum loses likelihood and makes the aggregated posterior correlated, for a diagonal posterior."""
    truth = LinearJTEx()
    found = maximise(lambda world: world.expected_elbo(truth))
    torch.testing.assert_close(found.covariance - 0.01 * torch.eye(2), double(THETA_STAR), rtol=1e-5, atol=1e-6)
    assert float(found.shortfall(truth)) == pytest.approx(SHORTFALL, abs=1e-10)
    assert float(found.posterior_gap()) == pytest.approx(POSTERIOR_GAP, abs=1e-6)
    assert float(found.expected_log_prob(truth)) == pytest.approx(LOG_LIKELIHOOD, abs=1e-6)
    aggregated = found.aggregated_posterior(truth)
    torch.testing.assert_close(aggregated.covariance_matrix, double([[1, 0.5248], [0.5248, 1]]), rtol=0, atol=1e-4)
    assert float(kl_divergence(aggregated, PRIOR)) == pytest.approx(0.16108, abs=1e-5)


@pytest.mark.parametrize(
    ("beta", "bound", "log_likelihood"),
    [(0.5, -0.0882193642, -3.13290), (2.0, -8.6315181886, -3.13272), (5.0, -22.5251265901, -3.13248)],
)
def test_beta_does_not_escape(beta: float, bound: float, log_likelihood: float) -> None:
    truth = LinearJTEx()
    found = maximise(lambda world: world.expected_elbo(truth, beta))
    assert float(found.expected_elbo(truth, beta)) == pytest.approx(bound, abs=1e-8)
    assert float(found.expected_log_prob(truth)) == pytest.approx(log_likelihood, abs=6e-6)


@pytest.mark.parametrize(
    ("shared", "gap", "information"),
    [
        ((0.0, 0.0), 0.5326358228, 4.7380705165),
        ((0.002, 0.002), 0.5325434680, 4.9612140678),
        ((0.002, 0.006), 0.7853143414, 5.3077876581),
        ((0.006, 0.002), 0.3334323836, 5.3077876581),
        ((0.006, 0.006), 0.5323485470, 5.6543612484),
        ((0.002, 0.0099), 2.5174326703, 7.1522273851),
        ((0.0099, 0.002), 0.011684, 7.152227),
        ((0.0099, 0.0099), 0.532146, 9.343241),
        ((0.0099, 0.0001), 0.009454, 7.045681),  # the nearest and the farthest posterior of a grid over B
        ((0.0001, 0.0099), 2.623958, 7.045681),
    ],
)
def test_b_changes_the_posterior_and_the_information_but_not_x(
    shared: tuple[float, float], gap: float, information: float
) -> None:
    world = LinearJTEx(shared=shared)
    assert float(world.posterior_gap()) == pytest.approx(gap, abs=1e-6)
    assert float(world.mutual_information()) == pytest.approx(information, abs=1e-6)
    assert float(world.expected_log_prob(LinearJTEx())) == pytest.approx(-2.9707773968994, abs=1e-11)


def test_towards_the_edge_the_posterior_becomes_diagonal_and_the_information_infinite() -> None:
    edge = [LinearJTEx(shared=(0.01 - distance, 0.005)) for distance in (1e-4, 1e-6, 1e-8)]
    assert [float(world.posterior_gap()) for world in edge] == pytest.approx([0, 0, 0], abs=0.02)
    assert edge[-1].posterior_gap() < 1e-5
    assert edge[2].mutual_information() - edge[1].mutual_information() == pytest.approx(math.log(10), abs=1e-3)


def test_gaussian_at_the_truth_and_turned() -> None:
    """The ELBO has the truth among its optima: turn A until its rows are orthogonal."""
    world = Gaussian()
    assert float(-world.entropy()) == pytest.approx(7.8644341823, abs=1e-9)
    assert float(world.posterior_gap()) == pytest.approx(0.0264600500, abs=1e-9)
    assert float(world.expected_elbo(world)) == pytest.approx(7.8379741324, abs=1e-8)
    assert world.mean_field().variance.tolist() == pytest.approx([1.8992992668e-6, 2.8792662754e-7], rel=1e-9)
    mixing = world.weight.T
    turned = Gaussian(torch.linalg.eigh(mixing @ mixing.T).eigenvectors.T @ mixing)
    assert float(turned.posterior_gap()) == pytest.approx(0, abs=1e-9)
    assert float(turned.expected_elbo(world)) == pytest.approx(7.8644341823, abs=1e-8)


def test_univariate_worlds_differ_in_information_alone() -> None:
    cases = {(0.5, 1.0): 0.1438410362, (0.9, 1.0): 0.8303656034, (0.3, 0.25): 0.2231435513, (0.05, 0.01): 0.1438410362}
    for (theta, variance), information in cases.items():
        world = Univariate(theta, variance)
        assert float(world.mutual_information()) == pytest.approx(information, abs=1e-9)
        assert float(world.covariance) == pytest.approx(variance)
        assert float(world.posterior_gap()) == pytest.approx(0, abs=1e-15)
        q = world.mean_field()(torch.tensor([0.7]))
        assert float(q.mean) == pytest.approx(0.7 * theta / variance)
        assert float(q.variance) == pytest.approx(1 - theta**2 / variance)


# --- CubicJTEx and Mobius: quadrature --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("process", "x", "log_prob"),
    [
        (
            CubicJTEx(),
            [[0.0, 0.0], [0.5, -0.2], [1.0, 3.0], [-2.0, -10.0]],
            [1.2536905191733867, -3.677487943835997, -5.683042385252418, -7.456270143386271],
        ),
        (
            Mobius(),
            Mobius().decode(double([[0, 0], [1, 1], [-2, 0.5], [0.3, -2.5]])).tolist(),
            [2.9263494773920304, 2.5547902427796494, 0.07913880967120068, -0.5551116328467218],
        ),
    ],
    ids=["CubicJTEx", "Mobius"],
)
def test_curved_densities_at_points(process: Process, x: list[list[float]], log_prob: list[float]) -> None:
    assert process.log_prob(double(x)).tolist() == pytest.approx(log_prob, abs=1e-10)


@pytest.mark.parametrize(("process", "expected"), [(CubicJTEx(), -4.0503), (Mobius(), 1.92597)], ids=repr)
def test_expected_log_likelihood_of_curved_worlds(process: LatentProcess, expected: float) -> None:
    """Over 8 scrambles of a Sobol sequence of 256 points; the references' own errors are 0.0004 and 0.0002."""
    means = torch.stack([process.log_prob(process.quasi_sample(256, seed)).mean() for seed in range(8)])
    error = float(means.std()) / 8**0.5
    assert error < 0.02
    assert float(means.mean()) == pytest.approx(expected, abs=4 * error + 0.0004)


@pytest.mark.parametrize(
    "process", [CubicJTEx(((0.9, 0.2), (1.0, -0.4)), (0.1, 0.2), 0.5), Mobius(noise_variance=0.02)]
)
def test_curved_densities_by_brute_force_over_codes(process: LatentProcess) -> None:
    """A fine regular grid over z, for worlds whose noise is wide enough for it; far points included."""
    line = torch.arange(-10.005, 10, 0.02, dtype=torch.float64)  # beside the Mobius map's pole, -7 - 4i
    z = torch.cartesian_prod(line, line)
    x = double([[0.3, 0.4], [0.0, -1.5], [1.5, -0.3]])
    brute = [process.log_joint(point, z).logsumexp(0) + 2 * math.log(0.02) for point in x]
    np.testing.assert_allclose(process.log_prob(x), brute, rtol=0, atol=1e-7)


@pytest.mark.parametrize("process", [CubicJTEx(), Mobius()], ids=repr)
def test_invert_undoes_decode(process: CubicJTEx | Mobius) -> None:
    z = torch.randn(20, 2, dtype=torch.float64, generator=Generator().manual_seed(6))
    torch.testing.assert_close(process.invert(process.decode(z)), z, rtol=1e-9, atol=1e-9)


def test_far_points_have_a_finite_density() -> None:
    """Also at the Mobius map's pole, the image of no code."""
    x = double([[1.0, 0.0], [100.0, -3.0], [0.0, 1e4]])
    for process in (CubicJTEx(), Mobius()):
        assert process.log_prob(x).isfinite().all()


def test_the_cubic_likelihood_has_a_gradient() -> None:
    """So the exact maximum-likelihood decoder can be found; against finite differences."""
    mixing = double([[0.75, 0.25], [1.5, -1.0]]).requires_grad_()
    x = double([[0.5, -0.2], [1.0, 3.0]])
    assert torch.autograd.gradcheck(lambda a: CubicJTEx(a).log_prob(x).sum(), mixing)


# --- mistakes --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: LinearJTEx([[1.0, 0.0]]), "square"),
        (lambda: LinearJTEx([[1.0, 0.0], [1.0]]), "rows of the same length"),
        (lambda: LinearJTEx([[1.0, math.nan], [1.0, 0.0]]), "finite"),
        (lambda: LinearJTEx(shared=(0.01, 0.0)), "below variance 0.01"),
        (lambda: LinearJTEx(shared=(0.001,)), "2 numbers"),
        (lambda: LinearJTEx([[1.0, 0.0], [0.0, 0.0]], shared=(0.0, 0.0)), "not positive definite"),
        (lambda: CubicJTEx([[1.0]], (0.001,)), "2 x 2"),
        (lambda: Gaussian(noise_variance=0.0), "noise_variance must be positive"),
        (lambda: Mobius(b=(1.0, 4.0), d=(1.0, 4.0)), "constant"),
        (lambda: Mobius(a=(1.0,)), "pairs"),
        (lambda: Univariate(1.0, 1.0), "below the variance"),
    ],
)
def test_impossible_worlds_say_what_is_wrong(make: Callable[[], Process], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()
