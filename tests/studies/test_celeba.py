"""`reproduce celeba`: a tiny GAN becomes the truth, an encoder is fitted to it, and joint training begins from both."""

from __future__ import annotations

import json
import shutil
import signal
import time
from functools import partial
from pathlib import Path
from unittest.mock import patch

import pytest
import torch
from support.faces import write_faces
from support.killed import KILLS, end_of, killed, killed_at_random

from vae_lightning.conditional import as_conditional
from vae_lightning.executors import Forked
from vae_lightning.loading import load
from vae_lightning.models import GaussianVAE
from vae_lightning.studies import reproduce
from vae_lightning.studies.celeba import CelebAStudy
from vae_lightning.studies.celeba.cell import CelebASize
from vae_lightning.studies.celeba.data import Imagined
from vae_lightning.studies.celeba.evaluation import judged
from vae_lightning.studies.celeba.joint import JOINTS
from vae_lightning.studies.celeba.networks import Networks
from vae_lightning.studies.celeba.truth import GroundTruth
from vae_lightning.trust import read_checkpoint

SIZE = CelebASize(
    side=8, latent=3, width=2, gan_epochs=2, epoch=8, encoder_epochs=2, joint_epochs=2, rate=1e-3, test=12,
    importance=3, images=12, batch=4, statistics=128, save_every=1,
)  # fmt: skip
CELLS = ["encoder, conditional likelihood", "ground truth again", "joint, fixed sigma", "joint, learned sigma"]


@pytest.fixture(scope="module")
def faces(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_faces(tmp_path_factory.mktemp("faces"))


@pytest.fixture(scope="module")
def reproduced(tmp_path_factory: pytest.TempPathFactory, faces: Path) -> tuple[Path, float]:
    """The study's folder, and the seconds it took."""
    out, began = tmp_path_factory.mktemp("study") / "celeba", time.monotonic()
    CelebAStudy("quick", 0, SIZE, faces=faces).reproduce(out)
    return out, time.monotonic() - began


@pytest.fixture(scope="module")
def folder(reproduced: tuple[Path, float]) -> Path:
    return reproduced[0]


def values(folder: Path) -> dict[tuple[str, str], float]:
    rows = json.loads((folder / "results.json").read_text())
    return {(row["cell"], row["metric"]): row["value"] for row in rows}


def test_rows_have_the_names_of_the_paper_s_table(folder: Path) -> None:
    rows = json.loads((folder / "results.json").read_text())
    assert list(dict.fromkeys(row["cell"] for row in rows)) == CELLS
    for cell in CELLS:
        metrics = {row["metric"] for row in rows if row["cell"] == cell}
        assert {"frechet_distance", "frechet_distance_of_means"} <= metrics
        assert ("elbo" in metrics) == (cell != "ground truth again")
    papers = {row["cell"]: row["paper"] for row in rows if row["metric"] == "elbo"}
    assert papers == dict(zip(CELLS[:1] + CELLS[2:], (-364513.78, -5898.94, 9035.69), strict=True))


def test_the_terms_of_every_row_are_its_elbo(folder: Path) -> None:
    found = values(folder)
    for cell in CELLS[:1] + CELLS[2:]:
        terms = sum(found[cell, term] for term in ("reconstruction", "mutual_information", "marginal_kl"))
        assert -found[cell, "elbo"] == pytest.approx(terms, rel=1e-5, abs=1e-3)


def test_the_encoder_s_decoder_is_the_ground_truth_and_a_known_sigma_stays(folder: Path) -> None:
    truth, encoder, fixed, learned = (
        model_of(folder, name) for name in ("ground-truth", "encoder", "joint-fixed-sigma", "joint-learned-sigma")
    )
    z = torch.ones(4, 3)
    with torch.no_grad():
        expected = truth.model.decoder(z)
        assert torch.equal(encoder.model.decoder(z).mean, expected.mean)
        assert not torch.equal(fixed.model.decoder(z).mean, expected.mean)
        assert torch.equal(fixed.model.decoder(z).stddev, expected.stddev)
        assert not torch.equal(learned.model.decoder(z).stddev, expected.stddev)


def model_of(folder: Path, cell: str) -> GaussianVAE:
    model = load(folder / "cells" / cell / "model.ckpt")
    assert isinstance(model, GaussianVAE)
    return model


def test_joint_training_begins_as_the_ground_truth_with_the_encoder_that_was_fitted(
    folder: Path, tmp_path: Path
) -> None:
    """After no step its ELBO is theirs, whether sigma is known or learned."""
    networks, fitted = Networks.of_size(SIZE), model_of(folder, "encoder").state_dict()
    truth = GroundTruth(as_conditional(model_of(folder, "ground-truth").model.decoder), 0)
    expected = values(folder)["encoder, conditional likelihood", "elbo"]
    for joint in JOINTS:
        begun = networks.joint(joint, fitted, rate=1e-3)
        found = judged(begun, Imagined(truth, SIZE.epoch, SIZE.test, SIZE.batch), SIZE.importance, tmp_path)
        assert found["elbo"] == pytest.approx(expected, rel=1e-5)


def test_statistics_of_the_ground_truth_are_those_of_the_priors_codes(folder: Path) -> None:
    truth = GroundTruth(as_conditional(model_of(folder, "ground-truth").model.decoder), 0)
    network = truth.decoder.network
    codes = torch.cat(list(truth.code_batches(SIZE.statistics, "statistics")))
    with torch.no_grad():
        first = network.start(codes[..., None, None])
    torch.testing.assert_close(network.hidden[0].running_mean, first.mean((0, 2, 3)), rtol=1e-4, atol=1e-6)


def test_images_of_the_ground_truth_are_functions_of_their_numbers(folder: Path) -> None:
    truth = GroundTruth(as_conditional(model_of(folder, "ground-truth").model.decoder), 0)
    some, alone = truth.images(torch.arange(5), "test"), truth.images(torch.tensor([3]), "test")
    torch.testing.assert_close(some[3], alone[0])
    assert not torch.equal(some, truth.images(torch.arange(5), "again"))
    noise = (truth.images(torch.arange(400), 1) - truth.decoder(truth.codes(torch.arange(400), 1)).mean).double()
    error = 0.05 / (2 * noise.numel()) ** 0.5  # of a standard deviation
    assert float(noise.std()) == pytest.approx(0.05, abs=4 * error)


def test_a_generator_that_is_given_is_the_ground_truth(folder: Path, tmp_path: Path) -> None:
    """Its statistics are made again, of the same codes and weights."""
    given = folder / "cells" / "ground-truth" / "model.ckpt"
    CelebAStudy("quick", 0, SIZE, generator=given, only="ground-truth").find(tmp_path)
    expected, found = model_of(folder, "ground-truth").model.decoder, model_of(tmp_path, "ground-truth").model.decoder
    torch.testing.assert_close(found.state_dict(), expected.state_dict(), rtol=1e-6, atol=1e-7)


def test_killed_at_any_moment_it_ends_with_the_same_bits(
    reproduced: tuple[Path, float], faces: Path, tmp_path: Path
) -> None:
    """Killed as its n-th file since it went on was being written: checkpoints of every stage, models, figures.

    Then at random moments, twenty of them in `make soak`.
    """
    study, (folder, took) = CelebAStudy("quick", 0, SIZE, faces=faces), reproduced
    out = tmp_path / "celeba"
    for number in (3, 6, 5, 9):
        assert end_of(partial(killed, study, out, number)) == -signal.SIGKILL

    def check() -> None:
        same(folder, out)
        shutil.rmtree(out)

    wholes = killed_at_random(partial(end_of, partial(study.reproduce, out)), check, longest=took / 4)
    print(f"{KILLS} kills at random moments: {wholes} whole studies, all with the same rows and weights")


def test_two_processes_share_the_work(folder: Path, faces: Path, tmp_path: Path) -> None:
    cells = ("joint-fixed-sigma", "joint-learned-sigma")
    studies = [CelebAStudy("quick", 0, SIZE, faces=faces, only=cell) for cell in cells]
    list(Forked(jobs=2).each(lambda number: len(studies[number].reproduce(tmp_path)), range(2)))
    CelebAStudy("quick", 0, SIZE, faces=faces).reproduce(tmp_path)
    same(folder, tmp_path)


def same(expected: Path, found: Path) -> None:
    """Whether two folders have the same rows and the same weights."""
    assert (found / "results.json").read_text() == (expected / "results.json").read_text()
    for model in expected.glob("cells/*/model.ckpt"):
        one, other = (read_checkpoint(path / model.relative_to(expected)) for path in (expected, found))
        torch.testing.assert_close(other["state_dict"], one["state_dict"], rtol=0, atol=0)


def test_table_and_pictures(folder: Path) -> None:
    table = (folder / "table.md").read_text()
    assert table.count("\n| ") == 2 + len(CELLS)
    assert "[-5898.94]" in table
    assert "- features of a distance: AttributeFeatures" in table
    for name in ("figure-3-encoder", "figure-4", "figure-4-with-noise"):
        assert (folder / f"{name}.png").stat().st_size > 5_000


def test_finished_cells_are_not_run_again(folder: Path, faces: Path) -> None:
    before = (folder / "results.json").read_text()
    with patch("vae_lightning.studies.celeba.stages.Stages.run") as run:
        CelebAStudy("quick", 0, SIZE, faces=faces).reproduce(folder)
    run.assert_not_called()
    assert (folder / "results.json").read_text() == before


def test_a_cell_without_the_model_that_others_begin_from_is_named(folder: Path, faces: Path, tmp_path: Path) -> None:
    out = shutil.copytree(folder, tmp_path / "out")
    (out / "cells/encoder/model.ckpt").unlink()
    shutil.rmtree(out / "cells/joint-fixed-sigma")
    with pytest.raises(ValueError, match=r"encoder, .* has figures and no model\.ckpt: remove its folder"):
        CelebAStudy("quick", 0, SIZE, faces=faces).reproduce(out)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"only": "joint"}, "no cell 'joint'; --only takes one of ground-truth, encoder, ground-truth-again, joint-f"),
        ({"images": 1}, "--images counts images of each model, at least 2 for a distance; got 1"),
        ({"generator": Path("nothing.ckpt")}, "there is no checkpoint nothing.ckpt"),
        ({"faces": Path("a"), "generator": Path("b")}, "give these, or a --generator"),
    ],
)
def test_what_cannot_be_is_said_in_one_line(options: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message.replace("(", r"\(")):
        CelebAStudy("quick", 0, SIZE, **options)  # type: ignore[arg-type]


def test_options_of_one_study_are_no_others() -> None:
    with pytest.raises(ValueError, match="libi takes no --faces; celeba does"):
        reproduce("libi", faces=Path("faces"))


def test_joints_are_told_apart_by_their_folders() -> None:
    assert [joint.path for joint in JOINTS] == ["joint-fixed-sigma", "joint-learned-sigma"]
