"""ResampledPosterior: the picture of q_EW in TensorBoard."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from lightning.pytorch.demos.boring_classes import BoringModel
from support.models import events, hashing, newsgroups, trainer

from vae_lightning.callbacks import ResampledPosterior
from vae_lightning.callbacks.resampled_posterior import grid, window
from vae_lightning.data import Synthetic
from vae_lightning.data.processes import LinearGaussian, LinearJTEx
from vae_lightning.estimators import Reparameterised
from vae_lightning.families import Normal
from vae_lightning.inference.resampled import ResampledPosterior as Resampled
from vae_lightning.models import VAE
from vae_lightning.nn import MLP
from vae_lightning.objectives import ELBO

SCALE = 0.5


def vae(latent: int = 2) -> VAE:
    torch.manual_seed(0)
    return VAE(Normal(latent), Normal(2, SCALE), MLP, MLP, ELBO(Reparameterised()))


def data() -> Synthetic:
    return Synthetic(LinearJTEx(), (100, 5, 5), batch_size=50, eval_batch_size=4)


@pytest.mark.parametrize("far", [1.0, 3.0])
def test_the_window_holds_both_posteriors(far: float) -> None:
    """All but a thousandth of the mass of q and of p(z | x), and neither is a speck in it."""
    module, x = vae(), far * LinearJTEx().sample(1, torch.Generator().manual_seed(0))
    output = module.model.decoder.network.output
    truth = LinearGaussian(output.weight.detach().double(), torch.full((2,), SCALE**2).double())
    with torch.no_grad():
        box = window(module.model, x, 80)
        q, p = module.model.encoder(x), truth.posterior(x - output.bias)
    for samples in (q.sample(torch.Size([10_000])), p.sample(torch.Size([10_000]))):
        inside = ((samples > box[0]) & (samples < box[1])).all(-1)
        assert inside.double().mean() > 0.99
    z = grid(box, 80)
    cell = ((box[1] - box[0]) / 80).prod()
    assert (p.log_prob(z.double()).exp().sum() * cell).item() == pytest.approx(1, abs=0.02)


@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed"])
def test_a_picture_every_so_many_epochs(precision: str, tmp_path: Path) -> None:
    callback = ResampledPosterior([1, 3], observations=2, pixels=12, replicates=5, every_n_epochs=2)
    run, module = trainer(callback, folder=tmp_path, max_epochs=4, precision=precision), vae()
    run.fit(module, data())
    (folder,) = tmp_path.iterdir()
    images = events(folder).Images("val/resampled_posterior")
    assert [image.step for image in images] == [3, 7]
    alone = vae()
    trainer(max_epochs=4, precision=precision).fit(alone, data())
    pairs = zip(module.parameters(), alone.parameters(), strict=True)
    assert all(torch.equal(*pair) for pair in pairs)


def test_one_row_an_observation_one_column_a_k() -> None:
    callback = ResampledPosterior([1, 3], observations=2, pixels=12, replicates=5)
    with torch.no_grad():
        box, densities = callback._row(vae().model, data_row())
    assert box.shape == (2, 2)
    assert [density.shape for density in densities] == [(12, 12)] * 3


def data_row() -> torch.Tensor:
    return LinearJTEx().sample(1, torch.Generator().manual_seed(0))


def test_bad_input(miniature: Path) -> None:
    with pytest.raises(ValueError, match=r"codes of two real numbers.* set the latent size to 2"):
        trainer(ResampledPosterior()).fit(vae(latent=3), data())
    with pytest.raises(ValueError, match="codes of two real numbers"):
        trainer(ResampledPosterior()).fit(hashing(num_bits=2), newsgroups(miniature))
    with pytest.raises(TypeError, match="BoringModel has none"):
        trainer(ResampledPosterior()).fit(BoringModel())
    with pytest.raises(ValueError, match="pixels >= 1, got 0"):
        ResampledPosterior(pixels=0)
    with pytest.raises(ValueError, match="got \\[\\]"):
        ResampledPosterior([])
    with pytest.raises(ValueError, match="num_samples >= 1 and replicates >= 1, got 0 and 5"):
        Resampled(vae().model, data_row(), 0, 5)
