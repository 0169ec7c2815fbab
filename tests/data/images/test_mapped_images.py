"""Images that stay in their file: every model, what starts from data and every diagnostic takes them; on any device."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
import torch
from lightning.pytorch import LightningModule
from support.diagnostics import build, configured
from support.faces import write_faces
from support.models import trainer

import vae_lightning as vl
from vae_lightning.data.images.base import ImageDataModule
from vae_lightning.data.images.binarise import DynamicBinarisation
from vae_lightning.data.images.pixels import Pixels, SignedPixels
from vae_lightning.data.loaders import Observations
from vae_lightning.data.mapped import Mapped

FACES = 24
IMAGE = (3, 8, 8)
FACE = partial(vl.Normal, IMAGE, 0.5)
NETWORKS = {
    "encoder": partial(vl.nn.DCGANEncoder, width=4),
    "decoder": partial(vl.nn.DCGANGenerator, width=4),
}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_faces(tmp_path_factory.mktemp("faces"), FACES)


@pytest.fixture(autouse=True)
def cache(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(place / "cache"))


def celeba(place: Path) -> ImageDataModule:
    return vl.CelebA(place, size=8, flip=True, batch_size=6, eval_batch_size=5)


def folder(place: Path) -> ImageDataModule:
    return vl.ImageFolder(place / "img_align_celeba", size=8, batch_size=6, eval_batch_size=5, val_size=6, test_size=6)


def vae(prior: vl.Prior | None = None) -> vl.GaussianVAE:
    objective = None if prior is None else vl.ELBO(vl.Reparameterised())
    return vl.GaussianVAE(2, FACE(), prior=prior, objective=objective, **NETWORKS)


def gan() -> vl.Adversarial:
    return vl.Adversarial(partial(vl.nn.DCGANDiscriminator, width=4), fakes=vl.MeanFakes())


MODELS: dict[str, Callable[[], LightningModule]] = {
    "a VAE": vae,
    "a VAMP prior": lambda: vae(vl.VampPrior(2, IMAGE, 4)),
    "an aggregated posterior": lambda: vae(vl.AggregatedPosterior(2, IMAGE, 10)),
    "a GAN": lambda: vl.GaussianVAE(2, FACE(), objective=gan(), **NETWORKS),
    "a GAN, then its encoder": lambda: vl.LiBI(
        2, FACE(), generator=gan(), inference=vl.ForwardKL(), steps=4, **NETWORKS
    ),
    "LiBI, the better of two": lambda: vl.LiBI(2, FACE(), steps=2, repeats=2, **NETWORKS),
    "an RBM": lambda: vl.RBM(vl.Normal(IMAGE, 1.0), vl.Bernoulli(4)),
}


@pytest.mark.parametrize("data_of", [celeba, folder], ids=["CelebA", "ImageFolder"])
@pytest.mark.parametrize("model_of", MODELS.values(), ids=MODELS)
def test_each_model_fits(
    model_of: Callable[[], LightningModule], data_of: Callable[..., ImageDataModule], place: Path
) -> None:
    torch.manual_seed(0)
    data, model = data_of(place), model_of()
    run = trainer(max_epochs=-1, max_steps=4, enable_progress_bar=False)
    run.fit(model, datamodule=data)
    assert isinstance(data.train.stored, Mapped)
    assert run.global_step == 4
    assert all(torch.isfinite(parameter).all() for parameter in model.parameters())


def test_an_ensemble_fits(place: Path) -> None:
    members = [celeba(place)]
    run = trainer(max_epochs=1, enable_progress_bar=False)
    run.fit(vl.Ensemble(member=lambda: vl.GaussianVAE(2, FACE()), seeds=2), vl.Stacked(members, times=2))
    assert run.global_step == 2


def test_all_data_are_a_batch(place: Path) -> None:
    data = vl.FullBatch(vl.CelebA(place, size=8))
    data.setup("fit")
    (x, _), *_ = data.train_dataloader()
    assert torch.equal(x, data.train.x)
    data = vl.FullBatch(celeba(place))  # in a mirror
    data.setup("fit")
    with pytest.raises(ValueError, match="these are drawn anew in each epoch"):
        data.train_dataloader()


def test_every_diagnostic_reports(place: Path, tmp_path: Path) -> None:
    """But those of codes or of weights alone, which other data show."""
    without = {"Consistency", "GradientVariance", "CollapseWatch"}
    chosen = [each for each in configured(tmp_path / "fid") if each["class_path"].rpartition(".")[2] not in without]
    for each in chosen:
        each["init_args"] |= {"num": 6} if each["class_path"].endswith("FrechetInceptionDistance") else {}
    run = trainer(*map(build, chosen), folder=tmp_path, enable_progress_bar=False)
    run.fit(vae(vl.VampPrior(2, IMAGE, 4)), datamodule=celeba(place))
    for name in ("log_likelihood", "rate", "frechet_distance", "active_units", "smooth_knn", "amortisation_gap"):
        assert torch.isfinite(run.callback_metrics[f"val/{name}"]), name


# --- the device ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("view", [SignedPixels(flip=True), Pixels(255, DynamicBinarisation())])
def test_a_batch_becomes_floats_on_its_device(view: SignedPixels | Pixels) -> None:
    """Bytes travel there: of a device without numbers nothing could come back."""
    data = Observations(torch.zeros(4, *IMAGE, dtype=torch.uint8), torch.zeros(4), torch.arange(4), view)
    there = Observations(data.stored, data.y, data.ids, view, torch.device("meta")).select(torch.arange(3))
    x, y = there.batch(torch.arange(2), draw=0)
    assert (x.shape, x.dtype, x.device.type, y.device.type) == ((2, *IMAGE), torch.float32, "meta", "cpu")


def test_the_loaders_of_a_trainer_give_batches_on_its_device(place: Path) -> None:
    data = celeba(place)
    data.setup("fit")
    assert data.train_dataloader().data.device is None  # type: ignore[attr-defined]
    data.trainer = trainer()
    for loader in (data.train_dataloader(), data.val_dataloader()):
        assert loader.data.device == torch.device("cpu")  # type: ignore[attr-defined]
