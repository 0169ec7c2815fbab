"""Classifier: trained by the shipped config on made-up faces, for the features that a distance is computed with."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import torch
from support.command import ROOT, command, figures, left_with
from support.faces import NAMES, write_faces

import vae_lightning as vl
from vae_lightning.metrics import AttributeFeatures
from vae_lightning.models import Attributes, Classifier, Rotations
from vae_lightning.nn import PooledConvolutions

CONFIG = ROOT / "configs" / "celeba" / "features.yaml"


@pytest.fixture(scope="module")
def faces(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_faces(tmp_path_factory.mktemp("faces") / "celeba")


def options(faces: Path, folder: Path, *more: Any) -> list[Any]:
    small = ["--data.batch_size", 3, "--model.network.widths", "[4, 6]", "--trainer.max_epochs", 2]
    place = ["--data.path", faces, "--trainer.logger.save_dir", folder, "--trainer.accelerator", "cpu"]
    return ["--config", CONFIG, *place, *small, *more]


def test_the_config_fits_tests_and_ships_features_of_attributes(faces: Path, tmp_path: Path) -> None:
    given = options(faces, tmp_path, "--model.task.names", f"[{', '.join(NAMES)}]")
    command("fit", *given)
    run, shipped = tmp_path / "version_0", tmp_path / "features.ckpt"
    command("test", *given, "--ckpt_path", run / "checkpoints" / "best.ckpt")
    logged = figures(run)
    assert {f"test/{score}/{name}" for score in ("auc", "accuracy", "base_rate") for name in NAMES} <= logged.keys()
    assert {"val/loss", "test/loss", "test/auc", "test/balanced_accuracy"} <= logged.keys()
    command("export", "--ckpt", run, "--to", shipped, "--half")
    weights = torch.load(shipped, weights_only=True)["state_dict"]
    assert {value.dtype for value in weights.values() if value.ndim > 1} == {torch.float16}
    trained: Any = vl.load(run)
    torch.testing.assert_close(
        vl.load(shipped).network.state_dict(), trained.network.state_dict(), atol=1e-3, rtol=1e-3
    )
    images = torch.rand(5, 3, 64, 64)
    with torch.no_grad():
        expected = trained.network.features(2 * images - 1)
    found = AttributeFeatures(shipped)(images)
    assert found.shape == (5, 10)
    torch.testing.assert_close(found, expected, atol=2e-2, rtol=1e-2)


def test_without_attributes_it_learns_rotations(faces: Path, tmp_path: Path) -> None:
    rotations = ["--model.task", "vae_lightning.models.Rotations", "--data.attributes", "[]"]
    command("fit", *options(faces, tmp_path, *rotations))
    assert figures(tmp_path / "version_0").keys() >= {"val/loss", "val/accuracy"}
    assert AttributeFeatures(tmp_path / "version_0" / "checkpoints" / "best.ckpt")(torch.rand(2, 3, 64, 64)).any()


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ([], r"learns 40 attributes \(5_o_Clock_Shadow, ...\), the data have 3 attributes \(Bald, ...\)"),
        (["--data.attributes", "[]"], "learns 40 attributes .*, the data have none: .* models.Rotations"),
    ],
)
def test_other_labels_are_refused_before_a_run_begins(
    more: list[str], message: str, faces: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    status = left_with([*map(str, ["fit", *options(faces, tmp_path, *more)])])
    told = capsys.readouterr().err.strip().splitlines()[-1]
    assert status != 0
    assert re.search(message, told), told
    assert not (tmp_path / "version_0").exists()


def test_labels_of_another_shape_are_one_clear_line() -> None:
    model = Classifier(task=Attributes(["Bald"]))
    with pytest.raises(ValueError, match=r"needs labels \(2, 1\) of 0 and 1, got \(2,\)"):
        model.loss((torch.rand(2, 3, 64, 64), torch.zeros(2)), 0)


def test_what_only_vaes_answer_is_a_type_error() -> None:
    model = Classifier((3, 16, 16), task=Rotations())
    for asked in (lambda: model.encode(torch.rand(2, 3, 16, 16)), lambda: model.sample(2)):
        with pytest.raises(TypeError, match=r"no codes and no p\(x\): ask it for features"):
            asked()


def test_each_quarter_turn_has_its_own_answer() -> None:
    """Four corners of which one is lit: after how many turns it lies where tells them apart."""
    corner = torch.zeros(1, 1, 4, 4)
    corner[..., 0, 0] = 1
    images, turns = Rotations().posed(corner, torch.zeros(1), training=False)
    assert [(image.squeeze().argmax() == place).item() for image, place in zip(images, (0, 12, 15, 3), strict=True)]
    assert turns.tolist() == [0, 1, 2, 3]
    assert torch.equal(
        torch.stack([image.rot90(-int(k), (1, 2)) for image, k in zip(images, turns, strict=True)]),
        corner.expand(4, 1, 4, 4),
    )
    torch.manual_seed(0)
    posed, drawn = Rotations().posed(corner.expand(200, 1, 4, 4), torch.zeros(200), training=True)
    assert drawn.unique().tolist() == [0, 1, 2, 3]
    assert all(torch.equal(image, images[turn]) for image, turn in zip(posed, drawn, strict=True))


def test_features_are_standardised_over_the_images_that_it_trains_with() -> None:
    network = PooledConvolutions((3, 32, 32), 2, [4, 8])
    features = network.train().features(torch.rand(50, 3, 32, 32))
    torch.testing.assert_close(features.mean(0), torch.zeros(12), atol=1e-4, rtol=0)
    assert network.features(torch.rand(2, 5, 3, 32, 32)).shape == (2, 5, 12)


def test_a_network_is_rebuilt_from_the_shapes_of_its_weights() -> None:
    network = PooledConvolutions((3, 32, 32), 2, [4, 8, 6])
    like = PooledConvolutions.like(network.state_dict(), (3, 32, 32))
    assert all(torch.equal(value, like.state_dict()[name]) for name, value in network.state_dict().items())
    with pytest.raises(ValueError, match=r"1 of them are not .* \(stages.1.second.weight, ...\)"):
        PooledConvolutions.like(network.state_dict() | {"stages.1.second.weight": torch.zeros(1)}, (3, 32, 32))
    with pytest.raises(ValueError, match=r"they are not those of nn.PooledConvolutions"):
        PooledConvolutions.like({"weight": torch.zeros(3, 3)}, (3, 32, 32))


@pytest.mark.parametrize(("shape", "widths"), [((64, 64), [4]), ((3, 64, 64), []), ((3, 64, 64), [4, 0])])
def test_sizes_of_nothing_are_refused(shape: tuple[int, ...], widths: list[int]) -> None:
    with pytest.raises(ValueError, match=r"needs images \(C, H, W\) and one or more positive widths"):
        PooledConvolutions(shape, 2, widths)
