"""Convolutional networks and learned scales: shapes, what they see, and how parameters are laid out."""

import copy
import pickle
from functools import partial

import pytest
import torch
from torch import nn

from vae_lightning.conditional import Conditional
from vae_lightning.families import Bernoulli, Multinomial, Normal
from vae_lightning.nn import (
    MLP,
    BagOfWordsMLP,
    Convolutions,
    Deconvolutions,
    Outputs,
    ScalePerDimension,
    SharedScale,
    WordLogits,
)


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
        Conditional(Bernoulli(64), (2,), lambda c, p: Deconvolutions(c, p, (3, 8, 8)))
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


@pytest.mark.parametrize(
    ("shape", "channels"), [((3, 64, 64), [16, 8, 4]), ((1, 28, 28), [8, 4]), ((2, 30, 12), [4]), ((1, 5, 7), [])]
)
@pytest.mark.parametrize("wrapper", [None, SharedScale, ScalePerDimension])
def test_a_decoder_paints_the_image_that_it_is_a_decoder_of(shape, channels, wrapper):
    """As one that is told the image: neighbours in the picture are neighbours in the last convolution's map."""
    told, asked = (
        partial(Deconvolutions, image_shape=shape, channels=channels),
        partial(Deconvolutions, channels=channels),
    )
    if wrapper is not None:
        told, asked = partial(wrapper, network=told), partial(wrapper, network=asked)
    family = Normal(shape, scale=None if wrapper else 0.3)
    decoders = []
    for network in (told, asked):
        torch.manual_seed(0)
        decoders.append(Conditional(family, (2,), network))
    z = torch.randn(3, 2)
    means = [decoder(z).mean for decoder in decoders]
    assert torch.equal(*means)
    paint = decoders[1].network if wrapper is None else decoders[1].network.network
    start = paint.hidden(z).unflatten(1, paint.start)
    torch.testing.assert_close(means[1], paint.output(start))


def test_an_image_shape_that_is_not_the_observations_is_refused():
    for shape in ([1, 8, 8], [3, 64, 32], [1, 96, 128], [192, 8, 8]):  # all of them divide 3 x 64 x 64
        with pytest.raises(ValueError, match=r"but the observations are \(3, 64, 64\): leave image_shape out"):
            Conditional(Normal((3, 64, 64), 1.0), (2,), partial(Deconvolutions, image_shape=shape))


def test_flat_observations_are_an_image_if_one_says_which():
    decoder = Conditional(Bernoulli(784), (2,), partial(Deconvolutions, image_shape=[1, 28, 28]))
    assert decoder(torch.zeros(5, 2)).mean.shape == (5, 784)
    with pytest.raises(
        ValueError, match=r"the observations are \(784,\): give image_shape, \(channels, height, width\)"
    ):
        Conditional(Bernoulli(784), (2,), Deconvolutions)
    with pytest.raises(ValueError, match="the shape of the image is not known: give image_shape"):
        Deconvolutions((2,), 784)


@pytest.mark.parametrize("shape", [(1, 30, 30), (1, 64, 63), (1, 7, 8)])
def test_sides_that_cannot_be_halved_are_refused_on_both_ends(shape):
    for network, family, context in ((Convolutions, Normal(2), shape), (Deconvolutions, Bernoulli(shape), (2,))):
        with pytest.raises(ValueError, match=r"sides divisible by 4, got .*: use fewer channels, one for each halving"):
            Conditional(family, context, network)


def test_networks_of_words_say_that_images_are_none():
    with pytest.raises(ValueError, match=r"BagOfWordsMLP reads bags of words, .* got contexts of shape \(1, 8, 8\)"):
        Conditional(Bernoulli(3), (1, 8, 8), BagOfWordsMLP)
    with pytest.raises(
        ValueError, match=r"WordLogits decodes codes that are vectors, .* got contexts of shape \(2, 3\)"
    ):
        Conditional(Multinomial(9), (2, 3), WordLogits)
    with pytest.raises(
        TypeError, match=r"BagOfWordsMLP reads sparse documents, got a Tensor: use Counts.from_dense\(x\)"
    ):
        Conditional(Bernoulli(3), (9,), BagOfWordsMLP)(torch.ones(2, 9))


def test_outputs_are_a_number_that_can_be_copied():
    outputs = Outputs(128, (1, 8, 8))
    for same in (copy.deepcopy(outputs), pickle.loads(pickle.dumps(outputs)), outputs // 1):
        assert (same, same.event_shape) == (128, (1, 8, 8))
    assert (outputs // 2, (outputs // 2).event_shape) == (64, (1, 8, 8))
    decoder = Conditional(Normal(3), (2,), MLP)
    assert copy.deepcopy(decoder)(torch.zeros(1, 2)).mean.shape == (1, 3)
