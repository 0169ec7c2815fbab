"""Gaussians that are correlated in blocks are torch's MultivariateNormal of a block-diagonal covariance."""

import math

import pytest
import torch
import torch.distributions as td

from vae_lightning.distributions import BlockGaussian, natural_form, packed, sample, statistics, unpacked, widened
from vae_lightning.families import BlockNormal, Normal
from vae_lightning.randomness import Noise

FAMILIES = {
    "alone": BlockNormal(6, 1),
    "pairs": BlockNormal((3, 2), 2),
    "threes": BlockNormal(6, 3),
    "full": BlockNormal(6, 6),
}


@pytest.fixture(params=FAMILIES, ids=str)
def family(request):
    return FAMILIES[request.param]


def member(family, seed=0, rows=3):
    noise = torch.Generator().manual_seed(seed)
    return family.member(torch.randn(rows, family.num_parameters, dtype=torch.float64, generator=noise))


def by_torch(q):
    """The same, of one dense covariance."""
    covariance = torch.stack([torch.block_diag(*blocks) for blocks in q.covariance])
    return td.MultivariateNormal(q.loc, covariance)


def standard(shape):
    return td.Independent(td.Normal(torch.zeros(shape, dtype=torch.float64), 1.0), len(shape))


def test_density_entropy_and_moments(family):
    q = member(family)
    other, x = by_torch(q), torch.randn(5, 1, *family.event_shape, dtype=torch.float64)
    torch.testing.assert_close(q.log_prob(x), other.log_prob(x.flatten(2)))
    torch.testing.assert_close(q.entropy(), other.entropy())
    torch.testing.assert_close(q.mean.flatten(1), other.mean)
    torch.testing.assert_close(q.variance.flatten(1), other.variance)


def test_divergences_in_closed_form(family):
    q, p = member(family), member(family, seed=1)
    wide = td.Independent(
        td.Normal(torch.full(family.event_shape, 0.3, dtype=torch.float64), 1.7), len(family.event_shape)
    )
    diagonal = td.MultivariateNormal(
        torch.full((6,), 0.3, dtype=torch.float64), 1.7**2 * torch.eye(6, dtype=torch.float64)
    )
    torch.testing.assert_close(td.kl_divergence(q, p), td.kl_divergence(by_torch(q), by_torch(p)))
    torch.testing.assert_close(td.kl_divergence(q, wide.expand((3,))), td.kl_divergence(by_torch(q), diagonal))
    torch.testing.assert_close(
        td.kl_divergence(
            family.member(torch.zeros(1, family.num_parameters)).expand((2,)), standard(family.event_shape).expand((2,))
        ),
        torch.zeros(2).double(),
    )


def test_sigma_is_a_variables_deviation_whatever_the_correlations(family):
    theta = torch.randn(3, family.num_parameters, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    (places,) = family.log_scales
    torch.testing.assert_close(family.member(theta).variance.flatten(1).sqrt(), theta[:, places].exp())


def test_blocks_of_one_are_independent():
    family, normal = BlockNormal(4, 1), Normal(4)
    theta, x = torch.randn(2, 8), torch.randn(3, 2, 4)
    assert family.num_parameters == normal.num_parameters
    torch.testing.assert_close(family.constrain(theta), normal.constrain(theta))
    torch.testing.assert_close(
        family.member(theta).log_prob(x), normal.distribution(normal.constrain(theta)).log_prob(x)
    )


def test_samples_have_the_covariance_and_a_gradient(family):
    """Of 20,000 samples, products of whitened pairs within 4.5 standard errors of the identity, among 36 entries."""
    q = member(family, rows=1)
    torch.manual_seed(0)
    z = sample(q, 20_000, Noise())[:, 0].flatten(1)
    white = torch.linalg.solve_triangular(by_torch(q).scale_tril[0], (z - q.loc[0]).T, upper=False)
    products = white @ white.T / len(z) - torch.eye(6)
    assert products.abs().max() < 4.5 * math.sqrt(2 / len(z))
    theta = torch.zeros(1, family.num_parameters, requires_grad=True)
    family.member(theta).rsample((2,)).sum().backward()
    assert theta.grad[0, :6].eq(2).all()


def test_to_natural_parameters_and_back(family):
    theta = torch.randn(3, family.num_parameters, dtype=torch.float64, generator=torch.Generator().manual_seed(3))
    eta = family.constrain(theta)
    torch.testing.assert_close(family.unconstrain(eta), theta)
    torch.testing.assert_close(family.distribution(eta).covariance, family.member(theta).covariance)


def test_natural_form_is_the_density(family):
    q = member(family)
    eta, log_normaliser = natural_form(q)
    z = torch.randn(3, *family.event_shape, dtype=torch.float64)
    told = (statistics(z.flatten(1), eta.shape[1]) * eta).sum(-1) - log_normaliser
    torch.testing.assert_close(told, q.log_prob(z))
    torch.testing.assert_close(eta, family.constrain(torch.cat([family.unconstrain(eta)])))


def test_rows_are_packed_and_wider_ones_made():
    q = member(BlockNormal(4, 2))
    again = unpacked(q, packed(q)[1:])
    torch.testing.assert_close(again.covariance, q.covariance[1:])
    torch.testing.assert_close(widened(q, 2.0).covariance, 4 * q.covariance)
    assert isinstance(again, BlockGaussian)


def test_close_to_one_a_correlation_keeps_its_digits():
    """In single precision, of a pair: the density is that of double precision to 1e-4 nats where r = 0.999."""
    family = BlockNormal(2, 2)
    theta = torch.tensor([[0.5, -0.5, -2.0, 1.0, 22.3 * math.sqrt(2)]])
    x = family.member(theta.double()).sample()
    exact = family.member(theta.double()).log_prob(x)
    assert family.member(theta.double()).covariance[0, 0, 0, 1] / math.exp(-1) > 0.998
    torch.testing.assert_close(family.member(theta).log_prob(x.float()).double(), exact, rtol=0, atol=1e-3)


@pytest.mark.parametrize(("block", "fitting"), [(0, 1), (4, 3), (7, 6)])
def test_blocks_are_of_one_size(block, fitting):
    with pytest.raises(ValueError, match=f"cuts 6 variables into blocks of {block} each: try {fitting}$"):
        BlockNormal(6, block)
