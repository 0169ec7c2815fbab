"""`reproduce mixture`: the paper's four figures, the files, and one definition with configs/mixture.yaml."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from matplotlib.image import imread
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from vae_lightning.callbacks import Freeze
from vae_lightning.data.processes import GaussianMixture
from vae_lightning.studies import reproduce
from vae_lightning.studies.mixture import BATCH_SIZE, EPOCH_STEPS, PHASE_EPOCHS, TRAINING_SIZE, mixture_vae
from vae_lightning.studies.mixture_figure import Panel, arrange, as_image, draw_simplex
from vae_lightning.training import TrainingCLI

KNOWN = [-3.64990, -3.74260, -3.70026, -3.68036]
"""The truth; the best a network of this size was seen to do with the true decoder; the joint optimum."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("study") / "mixture"
    reproduce("mixture", "quick", out, seed=1)
    return out


def test_the_quick_study_finds_the_four_figures(folder: Path) -> None:
    rows = json.loads((folder / "results.json").read_text())
    assert [set(row) for row in rows] == [{"cell", "metric", "value", "stderr", "paper", "unit"}] * 5
    assert [row["value"] for row in rows[:4]] == pytest.approx(KNOWN, abs=0.01)
    assert [row["paper"] for row in rows[:4]] == [-3.65, -3.74, -3.70, -3.68]
    assert [row["metric"] for row in rows[:4]] == ["log_likelihood", "elbo", "elbo", "log_likelihood"]


def test_the_table_names_what_a_rerun_needs(folder: Path) -> None:
    table = (folder / "table.md").read_text()
    assert "| ground truth | log likelihood | -3.6499 | -3.65 | nats |" in table
    assert all(f"- {name}: " in table for name in ("scale", "seed", "steps", "version", "machine"))


def test_the_picture_and_the_logs_are_there(folder: Path) -> None:
    picture = imread(folder / "figure2.png")
    assert picture.shape[1] > 1000
    log = EventAccumulator(str(folder / "tensorboard" / "version_0")).Reload()
    assert {"exact/elbo", "exact/log_likelihood", "train/loss"} <= set(log.Tags()["scalars"])
    assert log.Tags()["images"] == ["mixture/figure2"]


def test_the_configuration_is_the_studys_medium_run(tmp_path: Path) -> None:
    config = str(Path(__file__).parents[2] / "configs" / "mixture.yaml")
    quietly = ["--trainer.fast_dev_run=1", f"--trainer.default_root_dir={tmp_path}"]
    cli = TrainingCLI.run(["fit", "--config", config, *quietly])
    process, epochs = GaussianMixture(), PHASE_EPOCHS["medium"]
    ours, said = mixture_vae(process, epochs), cli.config.fit
    assert str(cli.model) == str(ours)
    assert torch.equal(cli.model.model.decoder.network.weight, process.centers.float())
    assert said.trainer.max_epochs == 2 * epochs
    assert epochs == said.model.init_args.scheduler.init_args.T_0
    assert said.model.init_args.optimizer.init_args.lr == ours.optimizer.keywords["lr"]
    assert cli.datamodule.sizes[0] == TRAINING_SIZE
    assert cli.datamodule.batch_size == BATCH_SIZE
    assert [c.until_step for c in cli.trainer.callbacks if isinstance(c, Freeze)] == [epochs * EPOCH_STEPS]


def test_panels_fill_rows_and_the_last_row_is_centred() -> None:
    figure = arrange([Panel(title, lambda axes: None) for title in "abcde"])
    figure.canvas.draw()
    boxes = [axes.get_position() for axes in figure.axes]
    assert len(boxes) == 5
    assert (boxes[3].x0 + boxes[4].x1) / 2 == pytest.approx(0.5, abs=0.02)
    assert boxes[4].y1 < boxes[0].y0


def test_the_simplex_is_drawn_without_a_display() -> None:
    figure = arrange([Panel("simplex", draw_simplex, "3d")])
    assert np.ptp(as_image(figure)) == 255


def test_an_unknown_study_is_told_with_those_there_are() -> None:
    with pytest.raises((ValueError, TypeError), match="mixture"):
        reproduce("mixtures")  # type: ignore[arg-type]
