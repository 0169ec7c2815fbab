"""Convolutional networks and learned scales: shapes, what they see, and how parameters are laid out."""

import pytest
import torch
from torch import nn

from vae_lightning.conditional import Conditional
from vae_lightning.families import Bernoulli, Normal
from vae_lightning.nn import MLP, Convolutions, Deconvolutions, ScalePerDimension, SharedScale


@pytest.mark.parametrize("batch", [(), (5,), (2, 3)], ids=str)
def test_any_batch_shape(batch):
    torch.manual_seed(0)
    images, codes = torch.rand(*batch, 3, 8, 16), torch.randn(*batch, 2, 2)
    inwards, outwards = Convolutions((3, 8, 16), 5, [4, 6, 7]), Deconvolutions((2, 2), 2 * 3 * 8 * 16, (3, 8, 16), [4])
    assert (inwards(images).shape, outwards(codes).shape) == ((*batch, 5), (*batch, 768))
    # one at a time gives the same
    if batch:
        one = tuple(0 for _ in batch)
        torch.testing.assert_close(inwards(images)[one], inwards(images[one]))
        torch.testing.assert_close(outwards(codes)[one], outwards(codes[one]))


def test_every_pixel_is_seen_and_painted():
    torch.manual_seed(0)
    image = torch.rand(1, 8, 8, requires_grad=True)
    (seen,) = torch.autograd.grad(Convolutions((1, 8, 8), 3, [4, 8], nn.Tanh)(image).sum(), image)
    assert (seen != 0).all()
    z = torch.zeros(2, requires_grad=True)
    network = Deconvolutions((2,), 64, (1, 8, 8), [8, 4], nn.Tanh)
    painted = torch.autograd.functional.jacobian(network, z)
    assert (painted != 0).any(1).all()


def test_a_normal_decoder_gets_means_and_then_log_sigmas():
    """The first half of a Deconvolutions' maps, flat, is the mean image."""
    torch.manual_seed(0)
    decoder = Conditional(Normal((3, 8, 8)), (2,), lambda c, p: Deconvolutions(c, p, (3, 8, 8)))
    z = torch.randn(4, 2)
    maps = decoder.network(z).unflatten(1, (6, 8, 8))
    likelihood = decoder(z).base_dist
    torch.testing.assert_close(likelihood.loc, maps[:, :3])
    torch.testing.assert_close(likelihood.scale.log(), maps[:, 3:])


@pytest.mark.parametrize(("wrapper", "number"), [(SharedScale, 1), (ScalePerDimension, 3)])
def test_scale_is_a_parameter_beside_the_network(wrapper, number):
    torch.manual_seed(0)
    decoder = Conditional(Normal(3), (2,), lambda c, p: wrapper(c, p, MLP, sigma=0.5))
    plain = Conditional(Normal(3, scale=0.5), (2,), MLP)
    plain.network.load_state_dict(decoder.network.network.state_dict())
    x, z = torch.randn(7, 3), torch.randn(7, 2)
    torch.testing.assert_close(decoder(z).log_prob(x), plain(z).log_prob(x))  # as a fixed scale until it is trained
    assert decoder.network.log_sigma.shape == (number,)
    # d/d log sigma of log N(x | mu, sigma) is (x - mu)^2 / sigma^2 - 1, summed over what shares the sigma
    decoder(z).log_prob(x).sum().backward()
    terms = ((x - plain(z).mean) / 0.5).square() - 1
    expected = terms.sum().reshape(1) if number == 1 else terms.sum(0)
    torch.testing.assert_close(decoder.network.log_sigma.grad, expected)


def test_shapes_that_do_not_fit_are_said():
    with pytest.raises(ValueError, match="divisible by 4, got \\(1, 8, 6\\): use fewer channels"):
        Convolutions((1, 8, 6), 3)
    with pytest.raises(ValueError, match="needs images \\(C, H, W\\)"):
        Convolutions((64,), 3)
    with pytest.raises(ValueError, match="cannot give 64 outputs"):
        Conditional(Bernoulli((1, 8, 8)), (2,), lambda c, p: Deconvolutions(c, p, (3, 8, 8)))
    with pytest.raises(ValueError, match="and sigma > 0; got 4 outputs and sigma -1"):
        SharedScale((2,), 4, MLP, sigma=-1.0)
    with pytest.raises(ValueError, match="got 3 outputs"):
        ScalePerDimension((2,), 3, MLP)


def test_a_scale_keeps_its_precision_under_bfloat16():
    """Eight bits would round away the steps that training makes."""
    decoder = Conditional(Normal(3), (2,), lambda c, p: SharedScale(c, p, MLP, sigma=0.0173))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        sigma = decoder(torch.randn(2, 2)).base_dist.scale
    torch.testing.assert_close(sigma, torch.full((2, 3), 0.0173), rtol=1e-6, atol=0)
