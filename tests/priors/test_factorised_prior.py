"""FactorisedPrior: theta = 0 is the uniform or standard member; a learned one has a gradient."""

import math

import pytest
import torch

from vae_lightning.families import Bernoulli, Categorical, Normal
from vae_lightning.priors import FactorisedPrior

FAMILIES = {
    "bits": (Bernoulli((2, 2)), -4 * math.log(2)),
    "classes": (Categorical(3, (2,)), -2 * math.log(3)),
    "normal": (Normal(3), -1.5 * math.log(2 * math.pi) - 1.5),
    "normal of fixed scale": (Normal(2, scale=2.0), -math.log(2 * math.pi) - 2 * math.log(2.0) - 0.25),
}


@pytest.fixture(params=FAMILIES, ids=str)
def case(request):
    """The family, a point, and its log-density by hand: bits all 1, first classes, or x all 1."""
    family, expected = FAMILIES[request.param]
    x = torch.ones(family.event_shape)
    if isinstance(family, Categorical):
        x = torch.eye(3)[[0, 0]]
    return family, x, expected


def test_log_density_at_theta_zero(case):
    family, x, expected = case
    prior = FactorisedPrior(family)()
    assert (prior.batch_shape, prior.event_shape) == ((), family.event_shape)
    torch.testing.assert_close(prior.log_prob(x), torch.tensor(expected))
    assert prior.log_prob(x.expand(3, 4, *x.shape)).shape == (3, 4)


def test_fixed_has_nothing_to_train_and_learned_has_a_gradient(case):
    family, x, _ = case
    assert not list(FactorisedPrior(family).parameters())
    learned = FactorisedPrior(family, learned=True)
    (gradient,) = torch.autograd.grad(learned().log_prob(x), learned.theta)
    assert gradient.abs().max() > 0
    assert FactorisedPrior(family).state_dict().keys() == learned.state_dict().keys() == {"theta"}


def test_moves_with_the_model(case):
    family, *_ = case
    assert FactorisedPrior(family).double()().sample().dtype == torch.float64
