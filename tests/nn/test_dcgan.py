"""The DCGAN and its residual relative: the tutorial's layers, any power of two, and what does not fit is said."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pytest
import torch
from torch import nn

from vae_lightning.conditional import Conditional
from vae_lightning.exports.programs import programs
from vae_lightning.families import Normal
from vae_lightning.models import GaussianVAE
from vae_lightning.nn import (
    DCGANDiscriminator,
    DCGANEncoder,
    DCGANGenerator,
    ResidualDiscriminator,
    ResidualEncoder,
    ResidualGenerator,
    SharedScale,
)

GENERATORS = [DCGANGenerator, partial(ResidualGenerator, most=32)]
READERS = [DCGANDiscriminator, partial(ResidualDiscriminator, most=32), DCGANEncoder, partial(ResidualEncoder, most=32)]
PAIRS = list(zip(GENERATORS, (READERS[2], READERS[3]), strict=True))


class TutorialGenerator(nn.Sequential):
    """As N. Inkawhich's tutorial writes it."""

    def __init__(self, nz: int = 100, ngf: int = 64, nc: int = 3) -> None:
        layers: list[nn.Module] = []
        for inputs, outputs, stride, padding in (
            *((nz, ngf * 8, 1, 0), (ngf * 8, ngf * 4, 2, 1), (ngf * 4, ngf * 2, 2, 1), (ngf * 2, ngf, 2, 1)),
        ):
            layers += [nn.ConvTranspose2d(inputs, outputs, 4, stride, padding, bias=False)]
            layers += [nn.BatchNorm2d(outputs), nn.ReLU(True)]
        super().__init__(*layers, nn.ConvTranspose2d(ngf, nc, 4, 2, 1, bias=False), nn.Tanh())


class TutorialDiscriminator(nn.Sequential):
    """As N. Inkawhich's tutorial writes it."""

    def __init__(self, ndf: int = 64, nc: int = 3) -> None:
        layers: list[nn.Module] = [nn.Conv2d(nc, ndf, 4, 2, 1, bias=False), nn.LeakyReLU(0.2, inplace=True)]
        for inputs in (ndf, ndf * 2, ndf * 4):
            layers += [nn.Conv2d(inputs, inputs * 2, 4, 2, 1, bias=False), nn.BatchNorm2d(inputs * 2)]
            layers += [nn.LeakyReLU(0.2, inplace=True)]
        super().__init__(*layers, nn.Conv2d(ndf * 8, 1, 4, 1, 0, bias=False), nn.Sigmoid())


def same_weights(network: nn.Module, peer: nn.Module) -> None:
    """Give the peer's weights, layer by layer; each has to fit."""
    ours, theirs = network.state_dict(), peer.state_dict()
    assert [value.shape for value in ours.values()] == [value.shape for value in theirs.values()]
    network.load_state_dict(dict(zip(ours, theirs.values(), strict=True)))


def size(network: nn.Module) -> int:
    return sum(weight.numel() for weight in network.parameters())


@pytest.mark.parametrize("training", [True, False])
def test_generator_and_discriminator_are_the_tutorials(training: bool) -> None:
    torch.manual_seed(0)
    generator = DCGANGenerator((100,), 3 * 64 * 64, image_shape=(3, 64, 64)).train(training)
    discriminator = DCGANDiscriminator((3, 64, 64)).train(training)
    assert (size(generator), size(discriminator)) == (3_576_704, 2_765_568)
    painter, judge = TutorialGenerator().train(training), TutorialDiscriminator().train(training)
    same_weights(generator, painter)
    same_weights(discriminator, judge)
    with torch.no_grad():
        z = torch.randn(4, 100)
        x = painter(z[..., None, None])
        torch.testing.assert_close(generator(z), x.flatten(1))
        torch.testing.assert_close(discriminator(x).sigmoid(), judge(x).flatten(1))


def test_the_heads_of_the_encoder_are_the_body_of_the_discriminator_and_two_convolutions() -> None:
    encoder = DCGANEncoder((3, 64, 64), 200)
    body = size(DCGANDiscriminator((3, 64, 64))) - 512 * 16
    assert size(encoder) == body + 200 * (512 * 16 + 1)
    heads = Conditional(Normal(100), (3, 64, 64), DCGANEncoder).network.heads
    assert [head.out_channels for head in heads] == [100, 100]
    (only,) = Conditional(Normal(100, scale=1.0), (3, 64, 64), DCGANEncoder).network.heads
    assert only.out_channels == 100


def test_the_heads_are_means_and_then_log_sigmas() -> None:
    torch.manual_seed(0)
    encoder = Conditional(Normal(3), (1, 8, 8), partial(DCGANEncoder, width=4)).eval()
    x = torch.rand(5, 1, 8, 8)
    hidden = encoder.network.body(x)
    means, log_sigmas = (head(hidden).flatten(1) for head in encoder.network.heads)
    torch.testing.assert_close(encoder(x).base_dist.loc, means)
    torch.testing.assert_close(encoder(x).base_dist.scale.log(), log_sigmas)


def test_weights_start_as_the_tutorials() -> None:
    """N(0, 0.02) and, of the normalisation, N(1, 0.02): 4 standard errors of n weights."""
    torch.manual_seed(0)
    networks = [DCGANGenerator((100,), 3 * 64 * 64, image_shape=(3, 64, 64)), DCGANDiscriminator((3, 64, 64))]
    for layer in (layer for network in networks for layer in network.modules()):
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d | nn.BatchNorm2d):
            mean, n = float(isinstance(layer, nn.BatchNorm2d)), layer.weight.numel()
            assert layer.weight.mean().item() == pytest.approx(mean, abs=4 * 0.02 / n**0.5)
            assert layer.weight.std().item() == pytest.approx(0.02, rel=4 / (2 * n) ** 0.5)
            assert layer.bias is None or not layer.bias.any()


@pytest.mark.parametrize(("side", "width"), [(8, 3), (16, 1), (32, 2), (128, 1)])
def test_any_power_of_two_and_any_width(side: int, width: int) -> None:
    image = (2, side, side)
    for generator in GENERATORS:
        x = generator((5,), 2 * side * side, width, image_shape=image)(torch.randn(2, 5))
        assert x.shape == (2, 2 * side * side)
        assert x.abs().max() <= 1
        for reader in READERS:
            assert reader(image, 6, width)(x.unflatten(1, image)).shape == (2, 6)


@pytest.mark.parametrize("batch", [(), (5,), (2, 3)], ids=str)
def test_any_batch_shape(batch: tuple[int, ...]) -> None:
    torch.manual_seed(0)
    images, codes = torch.rand(*batch, 1, 8, 8), torch.randn(*batch, 2, 2)
    for generator in GENERATORS:
        assert generator((2, 2), 64, 2, image_shape=(1, 8, 8)).eval()(codes).shape == (*batch, 64)
    for reader in READERS:
        assert reader((1, 8, 8), 5, 2).eval()(images).shape == (*batch, 5)


@pytest.mark.parametrize("image", [(3, 48, 48), (3, 64, 32), (3, 4, 4), (64,), (3, 63, 63)], ids=str)
def test_images_that_are_no_squares_of_a_power_of_two_are_refused(image: tuple[int, ...]) -> None:
    told = r"needs square images \(C, H, W\) whose side is a power of two from 8 on, got .*: resize them"
    for build in (*GENERATORS,):
        with pytest.raises(ValueError, match=told):
            build((5,), torch.Size(image).numel(), 4, image_shape=image)
    for build in READERS:
        with pytest.raises(ValueError, match=told):
            build(image, 1, 4)


def test_what_does_not_fit_is_said() -> None:
    with pytest.raises(ValueError, match=r"got 128 outputs: wrap it in nn.SharedScale or fix the scale"):
        Conditional(Normal((1, 8, 8)), (2,), DCGANGenerator)
    with pytest.raises(ValueError, match="width must be a positive number of maps, got 0"):
        DCGANDiscriminator((1, 8, 8), width=0)
    for reader in READERS:
        with pytest.raises(ValueError, match=r"takes images of shape \(3, 8, 8\), got \(3, 16, 16\)"):
            reader((3, 8, 8), 1, 2)(torch.rand(2, 3, 16, 16))  # four of its own


@pytest.mark.parametrize("build", [*(partial(g, (100,), 12288, image_shape=(3, 64, 64)) for g in GENERATORS), *(
    partial(r, (3, 64, 64), 1) for r in READERS
)])  # fmt: skip
def test_on_the_meta_device(build: Callable[[], nn.Module]) -> None:
    """Nothing waits for a number: shapes alone go through, backwards too."""
    with torch.device("meta"):
        network = build()
        painter = isinstance(network, DCGANGenerator | ResidualGenerator)
        out = network(torch.empty(2, 100) if painter else torch.empty(2, 3, 64, 64))
    out.sum().backward()
    assert all(weight.grad is not None and weight.grad.is_meta for weight in network.parameters())


@pytest.mark.parametrize(("generator", "encoder"), PAIRS)
def test_a_vae_of_them_trains_and_is_exported(
    generator: Callable[..., nn.Module], encoder: Callable[..., nn.Module]
) -> None:
    torch.manual_seed(0)
    decoder = partial(SharedScale, network=partial(generator, width=4), sigma=0.3)
    model = GaussianVAE(3, Normal((3, 8, 8)), partial(encoder, width=4), decoder)
    x = torch.rand(4, 3, 8, 8) * 2 - 1
    loss, _ = model.loss((x, torch.zeros(4)), 0)
    loss.backward()
    assert all(weight.grad is not None and weight.grad.isfinite().all() for weight in model.parameters())
    model.eval()
    found = programs(model)
    with torch.no_grad():
        code = found["encoder"].module()(x)
        torch.testing.assert_close(code, model.posterior(x).mean)
        torch.testing.assert_close(found["decoder"].module()(code), model.likelihood(code).mean)
