"""`reproduce celeba --models`: models beyond the paper begin from encoders of their own, and keep what is held."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from support.faces import write_faces

from vae_lightning.encoders import BlockEncoder, FlowEncoder
from vae_lightning.loading import load
from vae_lightning.models import GaussianVAE
from vae_lightning.objectives import IWAE
from vae_lightning.priors import VampPrior
from vae_lightning.studies.celeba import CelebAStudy
from vae_lightning.studies.celeba.beyond.models import FURTHER, joints_of
from vae_lightning.studies.celeba.beyond.tradeoff import told
from vae_lightning.studies.celeba.cell import CelebASize
from vae_lightning.studies.celeba.joint import JOINTS
from vae_lightning.studies.report import Row

SIZE = CelebASize(
    side=8, latent=4, width=2, gan_epochs=1, epoch=8, encoder_epochs=1, joint_epochs=2, rate=1e-2, test=12,
    importance=3, images=12, batch=4, save_every=100,
)  # fmt: skip
MODELS = (
    "joint-fixed-sigma,joint-IWAE-K50,joint-VampPrior,joint-covariance-in-blocks,joint-flow,decoder-kept-ELBO,"
    "joint-beta0.1"
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("beyond") / "celeba"
    faces = write_faces(tmp_path_factory.mktemp("faces"))
    CelebAStudy("quick", 0, SIZE, faces=faces, models=MODELS).reproduce(out)
    return out


def values(folder: Path) -> dict[tuple[str, str], float]:
    rows = json.loads((folder / "results.json").read_text())
    return {(row["cell"], row["metric"]): row["value"] for row in rows}


def model_of(folder: Path, cell: str) -> GaussianVAE:
    model = load(folder / "cells" / cell / "model.ckpt")
    assert isinstance(model, GaussianVAE)
    return model


def test_every_model_has_a_row_and_its_terms_are_its_elbo(folder: Path) -> None:
    found = values(folder)
    named = [joint.name for joint in joints_of(MODELS)]
    for cell in [*named, "encoder, covariance in blocks", "encoder, flow"]:
        terms = sum(found[cell, term] for term in ("reconstruction", "mutual_information", "marginal_kl"))
        assert -found[cell, "elbo"] == pytest.approx(terms, rel=1e-4, abs=1e-2)
    assert found["joint, IWAE K=50", "training_images"] == 8  # one of the two epochs of others
    assert found["joint, flow", "training_images"] == 16


def test_a_decoder_that_is_kept_is_at_the_distance_of_the_encoders_row(folder: Path) -> None:
    """It is the ground truth's, bit for bit, so that its images are, too."""
    found = values(folder)
    kept, fitted = "decoder kept, ELBO", "encoder, conditional likelihood"
    assert found[kept, "frechet_distance"] == found[fitted, "frechet_distance"]
    assert found[kept, "elbo"] != found[fitted, "elbo"]
    assert found["joint, fixed sigma", "frechet_distance"] != found[fitted, "frechet_distance"]


def test_models_are_what_their_names_say(folder: Path) -> None:
    assert isinstance(model_of(folder, "joint-covariance-in-blocks").model.encoder, BlockEncoder)
    assert isinstance(model_of(folder, "joint-flow").model.encoder, FlowEncoder)
    assert isinstance(model_of(folder, "joint-IWAE-K50").objective, IWAE)
    prior = model_of(folder, "joint-VampPrior").model.prior
    assert isinstance(prior, VampPrior)
    assert (float(prior.low), float(prior.high)) == pytest.approx((-1.3, 1.3))  # all but the noise's last tails


def test_encoders_of_all_families_begin_with_the_same_body(folder: Path) -> None:
    """And are fitted to the same ground truth, whose decoder none of them touches."""
    z = torch.ones(2, 4)
    truth = model_of(folder, "ground-truth").model.decoder(z).mean
    for cell in ("encoder", "encoder-covariance-in-blocks", "encoder-flow", "decoder-kept-ELBO"):
        assert torch.equal(model_of(folder, cell).model.decoder(z).mean, truth)


def test_the_picture_and_the_remark(folder: Path) -> None:
    assert (folder / "tradeoff.png").stat().st_size > 5_000
    assert "Nearest to the ground truth is *" in (folder / "table.md").read_text()


def test_what_is_told_of_the_rows() -> None:
    rows = [
        Row("a", "elbo", -10.0, None, None, "nats"),
        Row("a", "fid", 1.0, None, None, ""),
        Row("b", "elbo", 20.0, None, None, "nats"),
        Row("b", "fid", 9.0, None, None, ""),
    ]
    (line,) = told(rows, ["a", "b"])
    assert line.startswith(
        "Nearest to the ground truth is *a*, at 1, with an ELBO of -10 nats. The highest ELBO is that"
    )
    assert told(rows, ["a"]) == []


def test_models_by_name() -> None:
    assert joints_of("paper") == JOINTS
    assert joints_of("all") == JOINTS + FURTHER
    assert [joint.name for joint in joints_of("joint-flow, joint-fixed-sigma")] == ["joint, fixed sigma", "joint, flow"]
    assert len({joint.path for joint in joints_of("all")}) == len(JOINTS + FURTHER)
    with pytest.raises(
        ValueError, match="there is no model joint-glow; --models takes paper, all, or some of joint-fi"
    ):
        joints_of("joint-glow")


def test_one_cell_needs_the_encoder_of_its_own_family(tmp_path: Path) -> None:
    study = CelebAStudy("quick", 0, replace(SIZE), faces=tmp_path, models="all", only="joint-flow")
    assert [cell.path for cell in study.cells()] == ["ground-truth", "encoder-flow", "joint-flow"]
