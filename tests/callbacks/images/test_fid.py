"""FrechetInceptionDistance inside real runs on digits: what is compared, what is cached, what stays untouched."""

from __future__ import annotations

import io
import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import Mock

import lightning.pytorch as pl
import numpy as np
import pytest
import torch
from support.command import ROOT, command, figures, forked
from support.inception_file import write_weights
from support.models import digits, events, gaussian_vae, hashing, newsgroups, trainer
from torch import Tensor, nn

from vae_lightning.callbacks import (
    CheckpointReference,
    DataReference,
    FrechetInceptionDistance,
    ImageMeans,
    ImageSamples,
)
from vae_lightning.callbacks.images.samplers import Sampler
from vae_lightning.data import ThresholdBinarisation
from vae_lightning.data.download import RemoteFile
from vae_lightning.data.images import inception_weights
from vae_lightning.data.images.inception_weights import fetch_inception_weights
from vae_lightning.metrics import AttributeFeatures, InceptionFeatures
from vae_lightning.metrics.functional import frechet_distance_of_features
from vae_lightning.metrics.images import inception
from vae_lightning.metrics.images.weights import file_sha256
from vae_lightning.nn import MLP
from vae_lightning.randomness import seeded

NAMES = {"frechet_distance", "kernel_distance", "kernel_distance_error"} | {
    f"frechet_distance_{end}" for end in ("error", "n", "reference_n")
}


class Edges(nn.Module):
    """(B, 1, 8, 8) -> (B, 98); counts the images it is given."""

    seen = 0

    def forward(self, x: Tensor) -> Tensor:
        Edges.seen += len(x)
        return torch.cat((x.diff(dim=2)[..., :7], x.diff(dim=3)[:, :, :7]), 1).flatten(1)


def distance(folder: Path, **changes: Any) -> FrechetInceptionDistance:
    return FrechetInceptionDistance(**{"features": Edges(), "cache": folder, "every_n_epochs": 1} | changes)


def validated(callback: FrechetInceptionDistance, module: Any = None, data: Any = None) -> dict[str, float]:
    return trainer(callback).validate(module or gaussian_vae(), datamodule=data or digits(), verbose=False)[0]


def drawn(num: int, sampler: Sampler) -> Tensor:
    """What the callback compares: chunks of 100, each under its own seed."""
    parts, module = [], gaussian_vae().eval()
    for chunk, start in enumerate(range(0, num, 100)):
        with seeded(0, "FrechetInceptionDistance", chunk), torch.no_grad():
            parts.append(sampler(module, min(100, num - start)))
    return torch.cat(parts)


def data(name: str) -> Tensor:
    module = digits()
    module.setup()
    return module.split(name).x


# -- what is compared ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("sampler", [ImageSamples(), ImageMeans()])
@pytest.mark.parametrize(
    ("reference", "num", "split"),
    [(None, None, "val"), (DataReference("train"), 140, "train"), (DataReference("val"), 5, "val")],
)
def test_samples_of_the_model_against_a_split_of_the_data(
    reference: DataReference | None, num: int | None, split: str, sampler: Sampler, tmp_path: Path
) -> None:
    logged = validated(distance(tmp_path, reference=reference, num=num, sampler=sampler))
    real, generated = data(split), drawn(num or 61, sampler)
    expected = frechet_distance_of_features(Edges()(generated), Edges()(real))
    assert logged["val/frechet_distance"] == pytest.approx(expected.item(), rel=1e-5)
    assert (logged["val/frechet_distance_n"], logged["val/frechet_distance_reference_n"]) == (len(generated), len(real))
    assert {name for name in logged if "distance" in name} == {f"val/{name}" for name in NAMES}


def test_samples_are_of_observations_and_means_are_without_noise() -> None:
    samples, means = drawn(200, ImageSamples()), drawn(200, ImageMeans())
    assert set(samples.unique().tolist()) == {0, 1}
    assert ((means > 0) & (means < 1)).all()
    assert abs(samples.mean() - means.mean()) < 4 * 0.5 / samples.numel() ** 0.5
    with pytest.raises(TypeError, match="ImageMeans needs a model with prior and decoder, got LightningModule"):
        ImageMeans()(pl.LightningModule(), 3)


def test_a_reference_that_lacks_the_objects_it_was_built_of(tmp_path: Path) -> None:
    run = trainer()
    run.fit(gaussian_vae(encoder=lambda x, n: MLP(x, n, [4])), datamodule=digits())  # no file can say it
    run.save_checkpoint(tmp_path / "of-python.ckpt")
    with pytest.raises(ValueError, match="is of a model that was given objects"):
        validated(distance(tmp_path, reference=CheckpointReference(tmp_path / "of-python.ckpt", num=101)))


# -- the cache -----------------------------------------------------------------------------------------------------


def seen_by(callback: FrechetInceptionDistance, data: Any = None) -> int:
    """How many images went through the network in a validation, besides the five that the model made."""
    Edges.seen = 0
    validated(callback, data=data)
    return Edges.seen - 5


def test_the_references_features_are_computed_once(tmp_path: Path) -> None:
    first, second = (validated(distance(tmp_path, num=5)) for _ in range(2))
    assert first == second
    assert [path.suffix for path in tmp_path.iterdir()] == [".npz"]
    assert seen_by(distance(tmp_path, num=5)) == 0
    assert seen_by(distance(tmp_path, num=5, reference=DataReference("train"))) == 200


@pytest.mark.parametrize("changes", [{"seed": 1}, {"val_size": 60}, {"binarisation": ThresholdBinarisation()}])
def test_other_data_are_another_file(changes: dict[str, Any], tmp_path: Path) -> None:
    """Also where the difference is in an object, which no hyper-parameter tells."""
    validated(distance(tmp_path, num=5))
    if "binarisation" in changes:
        other = digits()
        other.binarisation = changes["binarisation"]
    else:
        other = digits(**changes)
    assert seen_by(distance(tmp_path, num=5), other) == changes.get("val_size", 61)
    assert len(list(tmp_path.iterdir())) == 2


def test_other_weights_of_the_network_are_another_file(tmp_path: Path) -> None:
    for seed in (0, 1):
        torch.manual_seed(seed)
        validated(distance(tmp_path, features=nn.Sequential(nn.Conv2d(1, 3, 6), nn.Flatten()), num=5))
        assert len(list(tmp_path.iterdir())) == seed + 1


def stored(content: bytes, **changes: Any) -> bytes:
    """A sound archive of other arrays."""
    out = io.BytesIO()
    kept = dict(np.load(io.BytesIO(content))) | changes
    np.savez(out, **{name: array for name, array in kept.items() if array is not None})
    return out.getvalue()


@pytest.mark.parametrize(
    "damage",
    [
        lambda _: b"",
        lambda _: b"PK\x03\x04 not a whole archive",
        lambda b: b[: len(b) // 2] + bytes([b[len(b) // 2] ^ 1]) + b[len(b) // 2 + 1 :],
        lambda b: stored(b, mean=None),
        lambda b: stored(b, mean=np.array(["text"])),
        lambda b: stored(b, matrix=np.zeros(3)),
        lambda b: stored(b, rows=np.zeros((2, 2))),
    ],
    ids=["empty", "no archive", "one bit", "no mean", "text", "another shape", "other rows"],
)
def test_a_damaged_file_is_computed_again(damage: Callable[[bytes], bytes], tmp_path: Path) -> None:
    expected = validated(distance(tmp_path, num=5))
    (file,) = tmp_path.iterdir()
    file.write_bytes(damage(file.read_bytes()))
    assert validated(distance(tmp_path, num=5)) == expected
    assert seen_by(distance(tmp_path, num=5)) == 0


def test_a_file_of_another_description_is_computed_again(tmp_path: Path) -> None:
    validated(distance(tmp_path, num=5))
    (file,) = tmp_path.iterdir()
    validated(distance(tmp_path, num=5, reference=DataReference("train")))
    (other,) = set(tmp_path.iterdir()) - {file}
    other.replace(file)
    assert seen_by(distance(tmp_path, num=5)) == 61


# -- what stays untouched ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed"])
def test_watching_changes_nothing(precision: str, tmp_path: Path) -> None:
    callback = distance(tmp_path / "cache")
    ends = {}
    for name, callbacks in {"watched": [callback], "alone": []}.items():
        module = gaussian_vae()
        run = trainer(*callbacks, folder=tmp_path / name, max_epochs=2, precision=precision)
        run.fit(module, datamodule=digits())
        ends[name] = module.state_dict(), torch.rand(3)
    (watched, after), (alone, otherwise) = ends.values()
    assert watched.keys() == alone.keys()
    assert all(torch.equal(value, alone[name]) for name, value in watched.items())
    assert torch.equal(after, otherwise)
    assert not callback.features.loaded
    assert callback.metric.state_dict() == callback.state_dict() == {}
    assert callback.metric.real_rows == []
    written = events(tmp_path / "watched" / "version_0")
    assert len(written.Scalars("val/frechet_distance")) == 2
    told = json.loads(written.Tensors("val/frechet_distance/text_summary")[0].tensor_proto.string_val[0])
    assert told["split"] == "val"
    assert told["features"] == "Edges"
    assert told["network"].endswith("Edges")
    assert told["image_shape"] == [1, 8, 8]
    assert told["generated"] == told["images"] == 61


def test_watches_every_tenth_epoch_by_default() -> None:
    assert FrechetInceptionDistance(features=Edges()).every_n_epochs == 50


# -- two processes, by the command ---------------------------------------------------------------------------------

MODEL = {
    "class_path": "vae_lightning.models.GaussianVAE",
    "init_args": {
        "latent_dim": 2,
        "observed": {
            "class_path": "vae_lightning.families.Bernoulli",
            "init_args": {"event_shape": [1, 8, 8], "intensities": True},
        },
    },
}
DATA = {"class_path": "vae_lightning.data.Digits", "init_args": {"val_size": 61, "eval_batch_size": 16}}
TWO = ["--config", ROOT / "configs" / "trainer" / "ddp.yaml"]


def watched_by(**arguments: Any) -> list[str]:
    callback = {"class_path": "vae_lightning.callbacks.FrechetInceptionDistance", "init_args": arguments}
    return ["--trainer.callbacks+", json.dumps(callback)]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, list[str]]]:
    """The folder and the options of a run of the command that trained briefly."""
    folder = tmp_path_factory.mktemp("run")
    options = ["--model", json.dumps(MODEL), "--data", json.dumps(DATA), "--trainer.accelerator", "cpu"]
    brief = ["--trainer.max_epochs", "1", "--trainer.devices", "1", "--trainer.logger.save_dir", folder]
    command("fit", *options, *brief)
    return folder, options


def test_two_processes_give_the_figures_of_one(run: tuple[Path, list[str]], tmp_path: Path) -> None:
    """61 images in four batches, 205 samples in three chunks; torch.nn.Flatten is the network, by class path."""
    folder, options = run
    checkpoint = folder / "version_0" / "checkpoints" / "last.ckpt"

    def arguments(name: str, cache: str) -> list[Any]:
        features = {"class_path": "torch.nn.Flatten"}
        watch = watched_by(features=features, num=205, cache=str(tmp_path / cache))
        return [*options, *watch, "--trainer.logger.save_dir", tmp_path / name, "--ckpt_path", checkpoint]

    command("validate", *arguments("one", "cache of one"), "--trainer.devices", "1")
    one = figures(tmp_path / "one" / "version_0")
    assert one["val/frechet_distance_n"] == 205
    assert one["val/frechet_distance_reference_n"] == 61
    for name, cache in (("two", "cache of two"), ("two with the cache of one", "cache of one")):
        done = forked("validate", *TWO, *arguments(name, cache), processes=2)
        assert done.returncode == 0, done.stderr
        assert figures(tmp_path / name / "version_0") == pytest.approx(one, rel=1e-6), name
    one_file, other_file = (
        [path.name for path in (tmp_path / cache).iterdir()] for cache in ("cache of one", "cache of two")
    )
    assert one_file == other_file
    assert len(one_file) == 1


def test_the_shipped_features_are_named_in_a_config_and_give_the_figures_of_one_process_on_two(
    run: tuple[Path, list[str]], tmp_path: Path
) -> None:
    """Digits have such features, too: what counts is that they are equal."""
    folder, options = run
    checkpoint = folder / "version_0" / "checkpoints" / "last.ckpt"
    features = {"class_path": "vae_lightning.metrics.AttributeFeatures"}

    def arguments(name: str) -> list[Any]:
        watch = watched_by(features=features, num=205, cache=str(tmp_path / f"cache of {name}"))
        return [*options, *watch, "--trainer.logger.save_dir", tmp_path / name, "--ckpt_path", checkpoint]

    command("validate", *arguments("one"), "--trainer.devices", "1")
    one = figures(tmp_path / "one" / "version_0")
    assert one["val/frechet_distance"] > 0
    assert not any("fid" in name or "kid" in name for name in one)
    done = forked("validate", *TWO, *arguments("two"), processes=2)
    assert done.returncode == 0, done.stderr
    assert figures(tmp_path / "two" / "version_0") == pytest.approx(one, rel=1e-5)


def test_the_commands_checkpoint_as_reference(run: tuple[Path, list[str]], tmp_path: Path) -> None:
    """The model against itself: the distance of samples that differ by chance, far below that from an untrained one."""
    checkpoint = run[0] / "version_0" / "checkpoints" / "last.ckpt"
    callback = distance(tmp_path, reference=CheckpointReference(checkpoint, num=1001), num=1001)
    module: Any = pl.LightningModule.load_from_checkpoint(checkpoint, weights_only=True)
    same, other = validated(callback, module), validated(callback)
    assert same["val/frechet_distance_reference_n"] == 1001
    assert abs(same["val/kernel_distance"]) < 4 * same["val/kernel_distance_error"]
    assert other["val/frechet_distance"] > 3 * same["val/frechet_distance"]


def test_what_the_first_process_cannot_describe_ends_all_of_them(tmp_path: Path) -> None:
    """Both sides of one broadcast: the first process sends its error, and the other raises what it is sent."""
    sent: list[Any] = []
    first = SimpleNamespace(broadcast=lambda value: sent.append(value) or value)
    other = SimpleNamespace(broadcast=lambda _: sent[0])
    data = digits(val_size=0)
    data.setup()
    for rank, strategy in enumerate((first, other)):
        process = Mock(spec=pl.Trainer, is_global_zero=rank == 0, strategy=strategy)
        process._data_connector = SimpleNamespace(_datahook_selector=SimpleNamespace(datamodule=data))
        with pytest.raises(ValueError, match="the val split of Digits has no images to compare with"):
            distance(tmp_path).report(process, gaussian_vae(), "val")


# -- the weights' file ---------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_weights(tmp_path_factory.mktemp("weights") / "random.pth")


@pytest.fixture
def empty_folder(tmp_path: Path, weights: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data folder without weights, and a site that has some; tests/data/test_download.py goes over real sockets."""

    def fetch(file: RemoteFile, folder: Path) -> Path:
        folder.mkdir()  # fails where it exists: downloads of these tests are first ones
        return Path(shutil.copy(weights, folder / file.name))

    monkeypatch.setenv("VAE_LIGHTNING_DATA", str(tmp_path / "data"))
    monkeypatch.setattr(inception_weights, "fetch", fetch)
    return tmp_path / "data"


def test_weights_are_downloaded_once_and_checked(empty_folder: Path, weights: Path) -> None:
    sha256 = file_sha256(weights)
    logged = validated(FrechetInceptionDistance(sha256=sha256[:8], num=2, reference=FewImages()))
    assert "val/frechet_distance" in logged  # random weights: not FID
    assert not any("fid" in name for name in logged)
    kept = empty_folder / "pt_inception-2015-12-05-6726825d.pth"
    assert file_sha256(kept) == sha256
    assert fetch_inception_weights(sha256) == kept


def test_other_weights_than_expected_are_not_kept(empty_folder: Path) -> None:
    with pytest.raises(ValueError, match=r"gave a file of sha256 .* not 6726825d.* by hand"):
        validated(FrechetInceptionDistance())
    assert list(empty_folder.iterdir()) == []


def test_the_fid_weights_give_fid_and_kid(weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inception, "FID_SHA256", file_sha256(weights))
    watch = {"weights": weights, "sha256": file_sha256(weights), "cache": tmp_path, "num": 2}
    logged = validated(FrechetInceptionDistance(**watch, reference=FewImages()))
    assert {"val/fid", "val/fid_error", "val/fid_n", "val/fid_reference_n", "val/kid", "val/kid_error"} <= logged.keys()


def test_features_as_an_object_are_those_of_the_file(
    weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One argument chooses FID or another distance: `features`."""
    sha256 = file_sha256(weights)
    monkeypatch.setattr(inception, "FID_SHA256", sha256)
    few = {"cache": tmp_path, "num": 2, "reference": FewImages()}
    by_file = validated(FrechetInceptionDistance(weights=weights, sha256=sha256, **few))
    by_object = validated(FrechetInceptionDistance(InceptionFeatures(weights, sha256), **few))
    assert by_object == pytest.approx(by_file, nan_ok=True)
    assert "val/fid" in by_object


def test_a_damaged_file_of_features_is_told_before_the_first_epoch(tmp_path: Path) -> None:
    (tmp_path / "damaged.ckpt").write_bytes(b"PK")
    with pytest.raises(ValueError, match=r"damaged.ckpt is not a whole checkpoint"):
        validated(FrechetInceptionDistance(AttributeFeatures(tmp_path / "damaged.ckpt")))


class FewImages(DataReference):
    """The first three images of the split: Inception takes a tenth of a second for each."""

    def images(self, *arguments: Any) -> Iterator[tuple[int, Tensor]]:
        number, images = next(super().images(*arguments))
        yield number, images[:3]


# -- bad input -----------------------------------------------------------------------------------------------------


def test_bad_arguments_are_one_clear_line(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="num >= 2 generated images, got 1"):
        FrechetInceptionDistance(num=1)
    with pytest.raises(ValueError, match="either features, another network, or Inception's weights"):
        FrechetInceptionDistance(features=Edges(), weights=tmp_path)
    with pytest.raises(ValueError, match="num >= 2 images, got 1"):
        CheckpointReference(tmp_path, num=1)
    with pytest.raises(ValueError, match="there is no checkpoint"):
        validated(distance(tmp_path, reference=CheckpointReference(tmp_path / "none.ckpt")))
    with pytest.raises(ValueError, match=r"cannot read the weights .*: Is a directory"):
        validated(FrechetInceptionDistance(weights=tmp_path))


def test_data_without_images_are_one_clear_line(miniature: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="the val split of Newsgroups has no images to compare with"):
        validated(distance(tmp_path), hashing(), newsgroups(miniature))
    loader = torch.utils.data.DataLoader([])
    with pytest.raises(ValueError, match="give the Trainer a datamodule with evaluation_dataloader"):
        trainer(distance(tmp_path)).validate(gaussian_vae(), loader, verbose=False)
