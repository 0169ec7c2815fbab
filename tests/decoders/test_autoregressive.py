"""Pixel by pixel: the density by enumeration, what each pixel sees, and cached draws beside naive ones."""

from __future__ import annotations

import itertools
import math
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from support.command import command
from torch import Tensor

import vae_lightning as vl
from vae_lightning.conditional import Conditional
from vae_lightning.consistency import decoder_fit
from vae_lightning.decoders import Autoregressive, autoregressed, decoder_of
from vae_lightning.distributions import sample
from vae_lightning.estimators import Enumerated
from vae_lightning.exports.programs import programs
from vae_lightning.families import Bernoulli, Categorical, ExponentialFamily, Normal
from vae_lightning.models import HVAE, VAE, GaussianVAE, LiBI
from vae_lightning.nn import MLP, Deconvolutions, PixelCNN
from vae_lightning.objectives import AnalyticELBO, ForwardKL
from vae_lightning.priors import VampPrior
from vae_lightning.randomness import Noise

SMALL = partial(PixelCNN, channels=6, layers=3)
TINY = (1, 2, 3)


def stirred(family: ExponentialFamily, network: partial[PixelCNN] = SMALL) -> Autoregressive:
    """A decoder of two codes, of weights that make pixels depend on each other and on z by much."""
    decoder = Autoregressive(family, (2,), network)
    source = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in decoder.parameters():
            parameter.copy_(0.5 * torch.randn(parameter.shape, generator=source))
    return decoder


def codes(n: int) -> Tensor:
    return torch.randn(n, 2, generator=torch.Generator().manual_seed(2))


def images() -> Tensor:
    """All 64 of 2 x 3 bits, (64, 1, 1, 2, 3)."""
    return torch.tensor(list(itertools.product([0.0, 1.0], repeat=6))).view(64, 1, *TINY)


# -- the density -----------------------------------------------------------------------------------------------------


def test_the_density_sums_to_one_and_is_the_product_of_its_own_conditionals() -> None:
    """The conditionals are summed out of the 64 probabilities, and each is what the network says of its pixel."""
    decoder, x, z = stirred(Bernoulli(TINY)).double(), images().double(), codes(3).double()
    p = decoder(z).log_prob(x).exp()
    torch.testing.assert_close(p.sum(0), torch.ones(3).double())
    said = decoder(z).given(x).mean.flatten(2)  # of the first row of images that share what came before
    flat = x.flatten(1)
    for i in range(6):
        for begun in itertools.product([0.0, 1.0], repeat=i):
            same = (flat[:, :i] == torch.tensor(begun).double()).all(1)
            one = p[same & (flat[:, i] == 1)].sum(0) / p[same].sum(0)
            torch.testing.assert_close(said[same][:, :, i], one.expand(int(same.sum()), -1), rtol=1e-5, atol=1e-6)


def test_a_gaussian_image_is_a_product_of_gaussians() -> None:
    """Two pixels: p(x1) p(x2 | x1) integrates to one over a grid, and x2 depends on x1."""
    decoder = stirred(Normal((1, 1, 2)))
    grid = torch.linspace(-12, 12, 241)
    x = torch.cartesian_prod(grid, grid).view(-1, 1, 1, 1, 2)
    p = decoder(codes(1)).log_prob(x).exp()
    assert p.sum().item() * 0.1**2 == pytest.approx(1, abs=1e-3)
    means = decoder(codes(1)).given(x).mean.flatten(1)
    assert means[:, 0].std() == 0 < means[:, 1].std()


@pytest.mark.parametrize("shape", [(1, 5, 6), (2, 4, 4)], ids=str)
def test_a_pixel_sees_all_before_it_and_nothing_else(shape: tuple[int, int, int]) -> None:
    """No blind spot: each of the earlier pixels counts. The channels of a pixel do not see each other."""
    decoder = stirred(Bernoulli(shape), partial(PixelCNN, channels=6, layers=4)).double()
    x = torch.rand(1, *shape, generator=torch.Generator().manual_seed(0)).double()
    maps = decoder.network.maps(codes(1).double())
    (jacobian,) = torch.autograd.functional.jacobian(lambda each: decoder.network(each, maps), x)
    seen = (jacobian.flatten(2).view(-1, math.prod(shape[1:]), 1, shape[0], math.prod(shape[1:])) != 0).any(3).any(2)
    before = torch.ones(seen.shape[1:]).tril(-1).bool()
    assert all(torch.equal(each, before) for each in seen)


def test_rows_in_blocks_are_those_in_one_pass() -> None:
    """Without a gradient many rows go in blocks, whose memory is bounded."""
    decoder = stirred(Bernoulli((1, 8, 8)))
    x = torch.rand(9000, 1, 8, 8, generator=torch.Generator().manual_seed(0)).round()
    with torch.no_grad():
        blocks = decoder(codes(1)).log_prob(x)
    torch.testing.assert_close(blocks[-5:], decoder(codes(1)).log_prob(x[-5:]).detach())


def test_half_precision_networks_give_single_precision_probabilities() -> None:
    decoder, x = stirred(Bernoulli(TINY)), images()[:, 0]
    with torch.autocast("cpu", torch.bfloat16):
        half = decoder(codes(1)).log_prob(x)
        assert decoder(codes(1)).sample().dtype is torch.float32
    assert half.dtype is torch.float32
    torch.testing.assert_close(half, decoder(codes(1)).log_prob(x), rtol=0.05, atol=0.1)


# -- draws -----------------------------------------------------------------------------------------------------------


def naive(decoder: Autoregressive, z: Tensor) -> Tensor:
    """The whole network for each pixel, by the same noise in the same order."""
    p = decoder(z)
    x = torch.zeros(len(z), *decoder.event_shape)
    for i, j in itertools.product(*map(range, x.shape[-2:])):
        theta = decoder.network(x, p.maps).unflatten(1, (-1, *x.shape[-2:]))[..., i, j]
        x[..., i, j] = sample(p.pixel.member(theta), 1, Noise())[0]
    return x


@pytest.mark.parametrize("family", [Bernoulli((1, 6, 5)), Normal((3, 4, 4)), Normal((1, 4, 6), 0.3)], ids=str)
@pytest.mark.parametrize("network", [SMALL, partial(PixelCNN, channels=4, layers=2, first_kernel=7, kernel=5)])
def test_cached_draws_are_the_naive_ones(family: ExponentialFamily, network: partial[PixelCNN]) -> None:
    decoder, z = stirred(family, network), codes(20)
    with torch.no_grad():
        torch.manual_seed(3)
        expected = naive(decoder, z)
        torch.manual_seed(3)
        drawn = decoder(z).sample()
    torch.testing.assert_close(drawn, expected, rtol=1e-3, atol=1e-3)


def test_images_are_drawn_as_often_as_the_density_says() -> None:
    decoder = stirred(Bernoulli(TINY))
    torch.manual_seed(0)
    n, p = 20_000, decoder(codes(1))
    drawn = p.sample((n,))[:, 0].flatten(1) @ torch.tensor([32.0, 16, 8, 4, 2, 1])
    share = drawn.long().bincount(minlength=64) / n
    expected = p.log_prob(images())[:, 0].exp().detach()
    assert ((share - expected).abs() <= 4 * (expected * (1 - expected) / n).sqrt() + 1e-4).all()


def test_the_mean_is_that_of_enumeration_and_the_same_for_a_row_alone() -> None:
    """64 draws: each conditional mean is within [0, 1], so that the standard error of their average is below 1 / 16."""
    decoder, z, x = stirred(Bernoulli(TINY)), codes(8), images()
    p = decoder(z)
    exact = (p.log_prob(x).exp()[..., None, None, None] * x).sum(0).detach()
    assert (p.mean - exact).abs().max() < 4 / 16
    assert (p.mean - exact).square().mean().sqrt() < 1 / 16
    before = torch.random.get_rng_state()
    torch.testing.assert_close(decoder(z[3:4]).mean, p.mean[3:4])
    assert torch.equal(torch.random.get_rng_state(), before)


def test_memory_of_the_mean_does_not_grow_with_the_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    """64 draws of each of two rows at once, and of what is drawn the same."""
    decoder, drawn, z = stirred(Bernoulli(TINY)), [], codes(6).view(2, 3, -1)
    whole, generate = decoder(z).mean, decoder.network.generate
    monkeypatch.setattr(autoregressed, "_NUMBERS", 2 * 64 * 6)
    monkeypatch.setattr(decoder.network, "generate", lambda maps, draw: drawn.append(len(maps)) or generate(maps, draw))
    torch.testing.assert_close(decoder(z).mean, whole)
    assert drawn == [128] * 3


# -- in models -------------------------------------------------------------------------------------------------------


def bits(n: int) -> Tensor:
    return torch.rand(n, 1, 4, 4, generator=torch.Generator().manual_seed(4)).round()


MODELS = {
    "GaussianVAE": lambda: GaussianVAE(2, Bernoulli((1, 4, 4)), decoder=SMALL),
    "VAE": lambda: VAE(Bernoulli(3), Bernoulli((1, 4, 4)), MLP, SMALL, AnalyticELBO(Enumerated())),
    "LiBI": lambda: LiBI(2, Bernoulli((1, 4, 4)), MLP, SMALL),
    "HVAE": lambda: HVAE([2, 3], Bernoulli((1, 4, 4)), decoder=SMALL, prior=VampPrior(2, (1, 4, 4), 5)),
}


@pytest.mark.parametrize("name", MODELS)
def test_models_take_it_as_the_network_of_their_decoder(name: str, tmp_path: Path) -> None:
    """Train, ask, write and read: as any other decoder."""
    torch.manual_seed(0)
    model = MODELS[name]()
    assert isinstance(model.model.decoder, Autoregressive)
    assert repr(model.observed) == repr(Bernoulli((1, 4, 4)))
    loss, _ = model.loss((bits(5), None), 0)
    loss.backward()
    if name != "LiBI":  # whose first half trains no encoder
        assert all(p.grad is not None for p in model.model.decoder.parameters())
    assert model.generate(3).x.shape == model.reconstruct(bits(3)).x.shape == (3, 1, 4, 4)
    assert set(model.generate(3).x.flatten()) <= {0.0, 1.0}
    assert bool((model.log_likelihood(bits(3), K=100).stderr < 1).all())


def test_a_trained_one_is_read_from_its_checkpoint(tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = MODELS["HVAE"]()
    data = vl.Arrays(bits(60).numpy(), batch_size=20)
    trainer = vl.trainer(max_epochs=1, accelerator="cpu", logger=False, default_root_dir=tmp_path)
    trainer.fit(model, data)
    trainer.save_checkpoint(tmp_path / "pixels.ckpt")
    back = vl.load(tmp_path / "pixels.ckpt")
    assert isinstance(back.model.decoder, Autoregressive)
    one, other = (each.model.log_likelihood(bits(3), torch.ones(1, 3, 5)) for each in (model, back))
    assert torch.equal(one, other)
    assert (back.generate(4, component=2).x == model.generate(4, component=2).x).all()
    command("sample", "--ckpt", tmp_path / "pixels.ckpt", "--n", "1", "--out", tmp_path / "one.png")
    drawn = np.asarray(Image.open(tmp_path / "one.png").convert("L"))
    assert set(np.unique(drawn)) <= {0, 255}  # bits and no means, which would be gray


def test_an_encoder_is_fitted_to_what_it_dreams() -> None:
    model = GaussianVAE(2, Bernoulli(TINY), decoder=SMALL).model
    assert ForwardKL()(model, torch.zeros(5, *TINY)).shape == (5,)


# -- what it refuses -------------------------------------------------------------------------------------------------


def test_what_needs_independent_pixels_says_so_in_one_line() -> None:
    model = MODELS["GaussianVAE"]()
    holes = bits(2)
    holes[0, 0, 0, 0] = math.nan
    with pytest.raises(TypeError, match="variables that are independent, which Autoregressed is not"):
        model.impute(holes)
    with pytest.raises(TypeError, match=r"the decoder, a Autoregressive, has no \.family"):
        decoder_fit(model.model, torch.randn(50, 2))
    with pytest.raises(TypeError, match=r"GaussianVAE's decoder draws x pixel by pixel, .*: export a checkpoint"):
        programs(model)


def test_bad_arguments_are_refused_in_one_line() -> None:
    for change in ({"kernel": 4}, {"first_kernel": 1}):
        with pytest.raises(ValueError, match="odd and at least 3"):
            PixelCNN((2,), 16, image_shape=(1, 4, 4), **change)
    with pytest.raises(ValueError, match="planes, channels and layers of at least 1, got 2, 0 and 4"):
        PixelCNN((2,), 16, image_shape=(1, 4, 4), channels=0)
    with pytest.raises(ValueError, match="the shape of the image is not known, and the observations are"):
        GaussianVAE(2, Bernoulli((1, 4, 4)), encoder=PixelCNN)
    with pytest.raises(TypeError, match="pixel by pixel, of the families Bernoulli and Normal; got Categorical"):
        decoder_of(Categorical(4, (1, 2, 3)), (2,), partial(PixelCNN, image_shape=(1, 2, 3)))
    with pytest.raises(TypeError, match=r"reads x in order, such as nn\.PixelCNN, got MLP"):
        Autoregressive(Bernoulli(TINY), (2,), MLP)


def test_other_networks_make_the_decoder_they_made() -> None:
    for network in (MLP, partial(Deconvolutions, channels=[4])):
        assert type(decoder_of(Bernoulli((1, 4, 4)), (2,), network)) is Conditional


@pytest.mark.parametrize("family", [Bernoulli(TINY), Normal(TINY)], ids=repr)
def test_it_draws_in_the_precision_of_its_weights(family: ExponentialFamily) -> None:
    single, double = stirred(family)(codes(3)), stirred(family).double()(codes(3).double())
    for p, precision in ((single, torch.float32), (double, torch.float64)):
        assert p.sample((2,)).dtype == p.mean.dtype == precision
    torch.testing.assert_close(double.mean.float(), single.mean, rtol=1e-3, atol=1e-3)
    half = stirred(family).bfloat16()(codes(3).bfloat16())
    assert half.sample((2,)).dtype == torch.bfloat16
    torch.testing.assert_close(half.mean.float(), single.mean, rtol=0.1, atol=0.1)
