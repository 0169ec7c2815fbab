"""Pictures of digits, read back from TensorBoard's file pixel by pixel."""

from __future__ import annotations

import functools
import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from support.models import events, hashing, newsgroups, trainer
from test_resume import assert_equal
from torch import Tensor

from vae_lightning.callbacks import (
    Interpolations,
    LatentScatter,
    PseudoInputs,
    PseudoInputSamples,
    Reconstructions,
    Samples,
    Traversals,
)
from vae_lightning.callbacks.pictures.base import Picture
from vae_lightning.data import Digits
from vae_lightning.estimators import DisARM, Reparameterised
from vae_lightning.families import Bernoulli, Normal
from vae_lightning.models import HVAE, VAE, GaussianVAE
from vae_lightning.nn import MLP
from vae_lightning.objectives import ELBO
from vae_lightning.priors import FactorisedPrior, MixturePrior, VampPrior

SHAPE = (1, 8, 8)
ENLARGED = 6  # pixels of the picture, along either axis, for a pixel of a digit
GRAY = 1 / 255 + 1e-6  # one level: the picture's decoder runs on other batches than the test's, and rounds
FULL = ELBO(Reparameterised())


def contrasted(module: Any) -> Any:
    """An untrained decoder shows every code as nearly the same gray; this one does not."""
    with torch.no_grad():
        for part in (module.model.decoder, module.model.encoder):
            for parameter in part.parameters():
                parameter.mul_(4 if parameter.ndim == 2 else 1)
    return module


def gaussian(latent_dim: int = 3, **changes: Any) -> GaussianVAE:
    torch.manual_seed(0)
    network = functools.partial(MLP, hidden=[20])
    return contrasted(
        GaussianVAE(latent_dim, Bernoulli(SHAPE, intensities=True), network, network, **{"objective": FULL} | changes)
    )


def bits() -> VAE:
    torch.manual_seed(9)  # the codes of the first two digits differ in two bits
    return contrasted(VAE(Bernoulli(5), Bernoulli(SHAPE, intensities=True), MLP, MLP, ELBO(DisARM())))


def digits() -> Digits:
    data = Digits(batch_size=256, eval_batch_size=100)  # 359 for the test: four batches, the last one shorter
    data.setup()
    return data


def picture(callback: Any, module: Any, folder: Path, **settings: Any) -> np.ndarray:
    """What the callback writes in `test`: gray levels from 0 to 1, row by row."""
    run = trainer(callback, folder=folder, **settings)
    run.test(module, datamodule=digits(), verbose=False)
    written = events(Path(run.log_dir))
    (tag,) = written.Tags()["images"]
    assert tag == f"test/{callback.tag}"
    (image,) = written.Images(tag)
    return np.asarray(Image.open(io.BytesIO(image.encoded_image_string)).convert("L")) / 255


def cut(pixels: np.ndarray, strips: int, length: int, *, upright: bool, gap: int = 4, left: int = 0) -> Tensor:
    """The digits of a picture, (strips, length, 8, 8): the grid stands in the lower left corner."""
    side, line = 8 * ENLARGED, 1 if length > 1 else 0
    band = length * (side + line) + line  # a strip, along itself
    high, wide = (band, side + 2 * line) if upright else (side + 2 * line, band)
    per_row = 8 if upright else 1
    rows = -(-strips // per_row)
    grid = pixels[len(pixels) - rows * (high + gap) - gap :, left:]
    digits = torch.zeros(strips, length, 8, 8)
    for k in range(strips):
        top, start = gap + k // per_row * (high + gap), gap + k % per_row * (wide + gap)
        for i in range(length):
            shift = line + i * (side + line)
            y, x = (top + shift, start + line) if upright else (top + line, start + shift)
            tile = grid[y : y + side, x : x + side].reshape(8, ENLARGED, 8, ENLARGED)
            assert np.ptp(tile, (1, 3)).max() == 0, "every pixel is enlarged as it is"
            digits[k, i] = torch.from_numpy(tile[:, 0, :, 0])
    return digits


def shown(module: Any, z: Tensor) -> Tensor:
    """E[x | z] by hand: the probability of each pixel."""
    with torch.no_grad():
        return module.model.decoder.network(z).sigmoid().unflatten(-1, (8, 8))


def means(module: Any, x: Tensor) -> Tensor:
    with torch.no_grad():
        return module.model.encoder(x).mean


def assert_shown(seen: Tensor, expected: Tensor) -> None:
    assert expected.std() > 0.1, "the digits differ"
    torch.testing.assert_close(seen, expected, atol=GRAY, rtol=0)


def test_samples_come_from_the_models_own_prior(tmp_path: Path) -> None:
    """A prior of two points: every sample is the mean digit of one or the other, and both occur."""
    prior = MixturePrior(Normal(3), 2)
    with torch.no_grad():
        prior.theta.copy_(torch.tensor([[2.0, 0, -1, *[-14] * 3], [-2.0, 1, 1, *[-14] * 3]]))
    module = gaussian(prior=prior)
    seen = cut(picture(Samples(n=20), module, tmp_path), 20, 1, upright=True)[:, 0]
    two = shown(module, torch.tensor([[2.0, 0, -1], [-2.0, 1, 1]]))
    which = (seen[:, None] - two).abs().amax((2, 3)).argmin(1)
    assert_shown(seen, two[which])
    assert set(which.tolist()) == {0, 1}


@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed"])
def test_reconstructions_stand_under_the_first_observations(precision: str, tmp_path: Path) -> None:
    """Their codes are the evaluation's own draws, in full precision whatever the training's."""
    module, data = gaussian(), digits()
    seen = cut(picture(Reconstructions(n=10), module, tmp_path, precision=precision), 10, 2, upright=True)
    batch = next(iter(data.test_dataloader()))
    assert_shown(seen[:, 0], batch[0][:10, 0])
    assert_shown(seen[:, 1], shown(module, module.evaluate(batch, 0).z[0, :10]))


def test_interpolations_of_gaussian_codes_are_lines(tmp_path: Path) -> None:
    """From the reconstruction of one posterior mean to that of the next one, through that of their middle."""
    module, data = gaussian(), digits()
    seen = cut(picture(Interpolations(n=4, steps=5), module, tmp_path), 4, 5, upright=False)
    z = means(module, next(iter(data.test_dataloader()))[0])[:5]
    assert_shown(seen[:, 0], shown(module, z[:4]))
    assert_shown(seen[:, -1], shown(module, z[1:]))
    assert_shown(seen[:, 2], shown(module, (z[:4] + z[1:]) / 2))


def test_traversals_are_in_the_order_of_activity(tmp_path: Path) -> None:
    """Activity is the variance over the whole split; the other units stay at the first observation's code."""
    prior = FactorisedPrior(Normal(3), learned=True)
    with torch.no_grad():
        prior.theta.copy_(torch.tensor([1.0, 2, 3, 0, np.log(2), np.log(0.5)]))
    module = gaussian(prior=prior)
    with torch.no_grad():
        z = torch.cat([means(module, x) for x, _ in digits().test_dataloader()])
    assert len(z) == 359
    variances = z.double().numpy().var(0, ddof=1)
    order = (-variances).argsort()
    assert order.tolist() != [0, 1, 2]
    label = 6 * max(len(f"z{unit}: {variances[unit]:.2f}") for unit in order) + 4
    seen = cut(picture(Traversals(n=2, steps=3), module, tmp_path), 2, 3, upright=False, left=label)
    for row, unit in zip(seen, order, strict=False):
        codes = z[:1].repeat(3, 1)
        mean, scale = [1, 2, 3][unit], [1, 2, 0.5][unit]
        codes[:, unit] = torch.tensor([mean - 3 * scale, mean, mean + 3 * scale])
        assert_shown(row, shown(module, codes))


def test_bits_are_flipped(tmp_path: Path) -> None:
    """Interpolations differ in one bit from step to step; traversals show each bit off, above it on."""
    module, data = bits(), digits()
    codes = (means(module, next(iter(data.test_dataloader()))[0])[:2] > 0.5).float()
    differing = (codes[0] != codes[1]).nonzero().flatten()
    assert len(differing) == 2
    seen = cut(picture(Interpolations(n=1, steps=9), module, tmp_path / "ways"), 1, 3, upright=False)
    middle = codes[0].clone()
    middle[differing[0]] = codes[1, differing[0]]
    assert_shown(seen[0], shown(module, torch.stack((codes[0], middle, codes[1]))))

    seen = cut(picture(Traversals(), module, tmp_path / "units"), 5, 2, upright=True, gap=16)
    p = torch.cat([means(module, x) for x, _ in data.test_dataloader()])
    for row, unit in zip(seen, p.var(0).argsort(descending=True), strict=True):
        pair = codes[:1].repeat(2, 1)
        pair[:, unit] = torch.tensor([0.0, 1.0])
        assert_shown(row, shown(module, pair))


def test_pseudo_inputs_of_a_vamp_prior(tmp_path: Path) -> None:
    u = torch.rand(12, *SHAPE, generator=torch.Generator().manual_seed(0))
    module = gaussian(prior=VampPrior(3, SHAPE, 12, pseudo_inputs=u))
    seen = cut(picture(PseudoInputs(n=9), module, tmp_path), 9, 1, upright=True)
    assert_shown(seen[:, 0], module.model.prior.pseudo_inputs[:9, 0].detach())
    torch.testing.assert_close(seen[:, 0], u[:9, 0], atol=0.01 + GRAY, rtol=0)  # where they were told to start


def test_pictures_of_two_levels(tmp_path: Path) -> None:
    """A hierarchical model has them all; the VampPrior is found on top of its prior."""
    torch.manual_seed(0)
    prior = VampPrior(2, SHAPE, 9, pseudo_inputs=torch.rand(9, *SHAPE))
    module = contrasted(HVAE((2, 3), Bernoulli(SHAPE, intensities=True), prior=prior))
    seen = cut(picture(PseudoInputs(), module, tmp_path / "u"), 9, 1, upright=True)
    assert_shown(seen[:, 0], prior.pseudo_inputs[:, 0].detach())

    seen = cut(picture(Interpolations(n=1, steps=2), module, tmp_path / "ways"), 1, 2, upright=True)
    encoder, x = module.model.encoder, next(iter(digits().test_dataloader()))[0][:2]
    with torch.no_grad():
        z2 = encoder.top(x).mean
        z = torch.cat((z2, encoder.lower(torch.cat((x.flatten(1), z2), 1)).mean), 1)
    assert_shown(seen[0], shown(module, z))
    run = trainer(Samples(), Reconstructions(), Traversals(), LatentScatter(), folder=tmp_path)
    run.test(module, datamodule=digits(), verbose=False)
    assert len(events(Path(run.log_dir)).Tags()["images"]) == 4


def test_a_pseudo_input_stands_beside_what_is_drawn_from_it(tmp_path: Path) -> None:
    """A decoder of sure pixels, black or white by the sign of z, and posteriors far from 0 without width."""
    u = torch.zeros(2, *SHAPE)
    u[1] = 1.0
    module = gaussian(prior=VampPrior(3, SHAPE, 2, pseudo_inputs=u))
    with torch.no_grad():
        encoder, decoder = module.model.encoder.network, module.model.decoder.network
        for network in (encoder, decoder):
            for parameter in network.parameters():
                parameter.zero_()
        first, last = (layer for layer in encoder.modules() if isinstance(layer, torch.nn.Linear))
        first.weight[0].fill_(1.0)
        last.weight[:3, 0].fill_(1.0)
        last.bias[:3].fill_(-5.0)
        last.bias[3:].fill_(-5.0)
        out = [layer for layer in decoder.modules() if isinstance(layer, torch.nn.Linear)]
        out[0].weight[0].fill_(1.0)
        out[-1].weight[:, 0].fill_(9.0)
        out[-1].bias.fill_(-90.0)
    seen = cut(picture(PseudoInputSamples(n=2, each=3), module, tmp_path), 2, 4, upright=False)
    assert_shown(seen[:, 1:], u[:, None].expand(2, 3, *SHAPE)[:, :, 0])
    assert_shown(seen[:, 0], module.model.prior.pseudo_inputs[:, 0].detach())
    with pytest.raises(ValueError, match="PseudoInputSamples needs each >= 1, got 0"):
        PseudoInputSamples(each=0)


@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed"])
def test_pictures_change_nothing_and_come_every_nth_epoch(precision: str, tmp_path: Path) -> None:
    kinds = (Samples, Reconstructions, Interpolations, Traversals, LatentScatter, PseudoInputs)
    ends = {}
    for name, callbacks in {"watched": [kind(every_n_epochs=2) for kind in kinds], "alone": []}.items():
        run = trainer(*callbacks, folder=tmp_path / name, max_epochs=3, precision=precision)
        module = gaussian(prior=VampPrior(3, SHAPE, 12))
        run.fit(module, datamodule=digits())
        ends[name] = module.state_dict(), run.optimizers[0].state_dict(), torch.rand(4)
    assert_equal(ends["watched"], ends["alone"])
    written = events(tmp_path / "watched" / "version_0")
    assert len(written.Tags()["images"]) == len(kinds)
    for tag in written.Tags()["images"]:
        steps = [image.step for image in written.Images(tag)]  # of the second epoch of three, and of the last
        assert steps == [epochs * len(digits().train_dataloader()) - 1 for epochs in (2, 3)]


def test_without_tensorboard_nothing_is_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[str] = []
    monkeypatch.setattr(Picture, "draw", lambda *_: drawn.append("picture"))
    monkeypatch.setattr("vae_lightning.callbacks.pictures.latent_scatter.scatter", lambda *_: drawn.append("scatter"))
    trainer(Samples(), Traversals(), LatentScatter()).test(gaussian(), datamodule=digits(), verbose=False)
    assert drawn == []


@pytest.mark.parametrize("kind", [Samples, Reconstructions, Interpolations, Traversals])
def test_there_are_no_pictures_of_text(kind: type[Picture], miniature: Path) -> None:
    with pytest.raises(TypeError, match=f"{kind.__name__} draws images, points and curves, but HashingVAE models bags"):
        trainer(kind()).test(hashing(), datamodule=newsgroups(miniature), verbose=False)


def test_bad_arguments() -> None:
    with pytest.raises(ValueError, match="Samples needs n >= 1, got 0"):
        Samples(n=0)
    with pytest.raises(ValueError, match="LatentScatter needs n >= 1, got 0"):
        LatentScatter(n=0)
    for kind in (Interpolations, Traversals):
        with pytest.raises(ValueError, match=f"{kind.__name__} needs steps >= 2, the two ends; got 1"):
            kind(steps=1)


def test_models_that_cannot_be_drawn() -> None:
    with pytest.raises(TypeError, match="PseudoInputs shows those of a VampPrior; the model's prior is Factor"):
        trainer(PseudoInputs()).test(gaussian(), datamodule=digits(), verbose=False)
    with pytest.raises(TypeError, match=r"LatentScatter needs codes of two dimensions or more; z is \(1,\)"):
        trainer(LatentScatter()).test(gaussian(1), datamodule=digits(), verbose=False)
