"""Families' moments in closed form: against autograd, against samples, and back to the parameters that fit them."""

import math

import pytest
import torch

from vae_lightning.families import Bernoulli, BernoulliMRF, BlockNormal, Categorical, GibbsMRF, Multinomial, Normal

FAMILIES = {
    "bits": Bernoulli((2, 3)),
    "classes": Categorical(3, (2,)),
    "normal": Normal((2, 2)),
    "normal of fixed scale": Normal(3, scale=0.6),
    "normal in blocks": BlockNormal(4, 2),
    "words": Multinomial(4).given(torch.tensor([2.0, 7.0]).double()),
    "pairs of bits": BernoulliMRF(2, 3),
}
FITTED = ("bits", "classes", "normal", "normal of fixed scale", "normal in blocks", "words")


@pytest.fixture(params=FAMILIES, ids=str)
def family(request):
    return FAMILIES[request.param]


def theta(family, seed=0):
    """Two rows of parameters as a network would emit them."""
    return torch.randn(2, family.num_parameters, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def test_mean_is_the_gradient_of_the_log_partition(family):
    eta = family.constrain(theta(family)).requires_grad_()
    (expected,) = torch.autograd.grad(family.log_partition(eta).sum(), eta)
    torch.testing.assert_close(family.mean_statistics(eta.detach()), expected)


@pytest.mark.parametrize("how", ["sample", "mean_and_sample"])
def test_samples_have_that_mean(family, how):
    """Of 20,000 samples, within 4 standard errors."""
    eta = family.constrain(theta(family)).expand(20_000, 2, -1)
    torch.manual_seed(1)
    x = family.sample(eta) if how == "sample" else family.mean_and_sample(eta)[1]
    assert x.shape == (20_000, 2, *family.event_shape)
    t = family.sufficient_statistics(x)
    error = t.std(0) / math.sqrt(len(t))
    assert ((t.mean(0) - family.mean_statistics(eta[0])).abs() <= 4 * error).all()


def test_mean_and_sample_gives_the_same_mean(family):
    eta = family.constrain(theta(family))
    torch.testing.assert_close(family.mean_and_sample(eta)[0], family.mean_statistics(eta))


def test_a_gradient_is_pulled_back_through_constrain(family):
    wide = 12 * theta(family)  # beyond where sigma is held
    wide.requires_grad_()
    gradient = theta(family, seed=1)
    (expected,) = torch.autograd.grad(family.constrain(wide), wide, gradient)
    torch.testing.assert_close(family.pulled_back(wide.detach(), gradient), expected)


@pytest.mark.parametrize("name", FITTED)
def test_fitted_parameters_have_the_data_mean(name):
    family = FAMILIES[name]
    mean = family.mean_statistics(family.constrain(theta(family)))
    found = family.mean_statistics(family.constrain(family.fitted(mean)))
    torch.testing.assert_close(found, mean)


def test_a_pixel_that_never_changes_keeps_its_parameters_finite():
    assert Bernoulli(2).fitted(torch.tensor([0.0, 1.0])).tolist() == pytest.approx([-6.9068, 6.9068], abs=1e-3)
    assert Normal(1).fitted(torch.tensor([2.0, 4.0])).tolist() == pytest.approx([2.0, math.log(1e-3)])
    assert Multinomial(2).fitted(torch.tensor([0.0, 5.0])).isfinite().all()


def test_bits_in_pairs_start_as_independent_ones():
    family, mean = BernoulliMRF(1, 2), torch.tensor([0.2, 0.5, 0.9, 0.15, 0.1])
    found = family.mean_statistics(family.fitted(mean))
    torch.testing.assert_close(found, torch.tensor([0.2, 0.5, 0.9, 0.1, 0.18]))
    with pytest.raises(TypeError, match="no closed form"):
        GibbsMRF(1, 1).fitted(torch.zeros(3))
