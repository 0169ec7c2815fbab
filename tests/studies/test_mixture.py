"""`reproduce mixture`: the paper's four figures, the files, and one definition with configs/mixture.yaml."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from itertools import combinations
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import pytest
import torch
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.image import AxesImage, imread
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from torch.distributions import Bernoulli as Bits
from torch.distributions import Independent

from vae_lightning.callbacks import Freeze
from vae_lightning.consistency import tight_vae
from vae_lightning.data.processes import GaussianMixture
from vae_lightning.data.processes.mixture import FOUR_CENTERS
from vae_lightning.families import Bernoulli, Normal
from vae_lightning.harmonium import Harmonium
from vae_lightning.latent_variable import LatentVariableModel
from vae_lightning.studies import reproduce
from vae_lightning.studies.mixture.models import mixture_mrf, mixture_vae
from vae_lightning.studies.mixture.pictures import (
    CODES,
    COLORS,
    VERTICES,
    Panel,
    arrange,
    draw_simplex,
    mixture_picture,
    named_after,
)
from vae_lightning.studies.mixture.study import PHASE_EPOCHS
from vae_lightning.studies.mixture.training import BATCH_SIZE, EPOCH_STEPS, TRAINING_SIZE
from vae_lightning.training import TrainingCLI

KNOWN = [-3.64990, -3.74260, -3.70026, -3.68036]
"""The truth; the best a network of this size was seen to do with the true decoder; the joint optimum."""

RBM_KNOWN = -3.67434
"""The maximum of the likelihood over Gaussian-Bernoulli RBMs with sigma = 1, from 30 starts."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("study") / "mixture"
    reproduce("mixture", "quick", out, seed=1)
    return out


def test_the_quick_study_finds_the_four_figures(folder: Path) -> None:
    rows = json.loads((folder / "results.json").read_text())
    assert [set(row) for row in rows] == [{"cell", "metric", "value", "stderr", "paper", "unit"}] * 11
    assert [row["value"] for row in rows[:4]] == pytest.approx(KNOWN, abs=0.01)
    assert [row["paper"] for row in rows[:4]] == [-3.65, -3.74, -3.70, -3.68]
    assert [row["metric"] for row in rows[:4]] == ["log_likelihood", "elbo", "elbo", "log_likelihood"]


def test_a_coupled_encoder_closes_the_gap_that_the_factorised_one_leaves(folder: Path) -> None:
    """Two biases and a coupling hold every posterior of two bits: ELBO and likelihood come to the truth's."""
    rows = [row for row in json.loads((folder / "results.json").read_text()) if row["cell"].startswith("MRF")]
    assert [row["metric"] for row in rows] == ["elbo", "elbo", "log_likelihood", "approximation_error"]
    assert [row["value"] for row in rows[:3]] == pytest.approx(3 * [KNOWN[0]], abs=1e-3)
    assert 0 < rows[3]["value"] < 1e-3
    assert {row["paper"] for row in rows} == {None}


def test_the_rbm_comes_to_its_maximum_likelihood(folder: Path) -> None:
    """Better than the VAE, worse than the truth; never above the best RBM of all, for the data are not the truth."""
    likelihood, error = json.loads((folder / "results.json").read_text())[-2:]
    assert (likelihood["cell"], likelihood["metric"]) == ("RBM, maximum likelihood", "log_likelihood")
    assert RBM_KNOWN - 0.003 < likelihood["value"] < RBM_KNOWN + 1e-5
    assert error["value"] == pytest.approx(KNOWN[0] - likelihood["value"], abs=1e-5)


def test_the_table_names_what_a_rerun_needs(folder: Path) -> None:
    table = (folder / "table.md").read_text()
    assert "| ground truth | log likelihood | -3.6499 | -3.65 | nats |" in table
    assert all(f"- {name}: " in table for name in ("scale", "seed", "steps", "version", "machine"))


def test_the_picture_and_the_logs_are_there(folder: Path) -> None:
    picture = imread(folder / "figure2.png")
    assert picture.shape[1] > 1000
    assert EventAccumulator(str(folder / "tensorboard")).Reload().Tags()["images"] == ["figure2"]
    for name in ("", "mrf", "rbm"):
        log = EventAccumulator(str(folder / "tensorboard" / name / "version_0")).Reload()
        assert {"exact/elbo", "exact/log_likelihood", "train/loss"} <= set(log.Tags()["scalars"])


@pytest.mark.parametrize(("name", "make"), [("mixture", mixture_vae), ("mixture-mrf", mixture_mrf)])
def test_the_configuration_is_the_studys_medium_run(name: str, make: Callable[..., Any], tmp_path: Path) -> None:
    config = str(Path(__file__).parents[2] / "configs" / f"{name}.yaml")
    quietly = ["--trainer.fast_dev_run=1", f"--trainer.default_root_dir={tmp_path}"]
    cli = TrainingCLI.run(["fit", "--config", config, *quietly])
    process, epochs = GaussianMixture(), PHASE_EPOCHS["medium"]
    ours, said = make(process, epochs), cli.config.fit
    assert str(cli.model) == str(ours)
    assert torch.equal(cli.model.model.decoder.network.weight, process.centers.float())
    assert said.trainer.max_epochs == 2 * epochs
    assert epochs == said.model.init_args.scheduler.init_args.T_0
    assert said.model.init_args.optimizer.init_args.lr == ours.optimizer.keywords["lr"]
    assert cli.datamodule.sizes[0] == TRAINING_SIZE
    assert cli.datamodule.batch_size == BATCH_SIZE
    assert [c.until_step for c in cli.trainer.callbacks if isinstance(c, Freeze)] == [epochs * EPOCH_STEPS]


def test_panels_fill_rows_and_the_last_row_is_centred() -> None:
    figure = arrange([Panel(title, lambda axes: None) for title in "abcde"], columns=3)
    figure.canvas.draw()
    boxes = [axes.get_position() for axes in figure.axes]
    assert len(boxes) == 5
    assert (boxes[3].x0 + boxes[4].x1) / 2 == pytest.approx(0.5, abs=0.02)
    assert boxes[4].y1 < boxes[0].y0


@pytest.fixture(scope="module")
def figure() -> Figure:
    """Figure 2 of untrained models: VAEs with the true decoder, whose posteriors are the truth, and the `RECTANGLE`."""
    torch.manual_seed(0)
    process = GaussianMixture()
    return mixture_picture(process, *models(process))


RECTANGLE = torch.tensor([[-2.0, -1.0], [-2.0, 1.0], [2.0, -1.0], [2.0, 1.0]])
"""Means of an RBM of two bits, 00 to 11; equally likely."""


def models(process: GaussianMixture) -> list[LatentVariableModel]:
    """The factorised and the coupled VAE, and an RBM that was not trained."""
    rbm = Harmonium(Normal(2, scale=1.0), Bernoulli(2))
    rbm.weight.data = torch.tensor([[4.0, 0.0], [0.0, 2.0]])
    rbm.visible_bias.data = RECTANGLE[0].clone()
    # -A(a + W h) for every h: what makes them equally likely, up to a constant
    squared = RECTANGLE.square().sum(-1) / 2
    rbm.hidden_bias.data = -torch.stack((squared[2] - squared[0], squared[1] - squared[0]))
    return [mixture_vae(process, 1).model, mixture_mrf(process, 1).model, tight_vae(rbm)]


def picture(figure: Figure, letter: str) -> AxesImage:
    (axes,) = (axes for axes in figure.axes if axes.get_title().startswith(f"({letter})"))
    (image,) = axes.images
    return image


def pixel_at(image: AxesImage, x: float, y: float) -> np.ndarray:
    """The colour nearest to a place of the plane, by the picture's own extent and origin."""
    left, right, bottom, top = image.get_extent()
    rows, columns = image.get_array().shape[:2]
    assert image.origin == "lower"
    return image.get_array()[
        round((y - bottom) / (top - bottom) * (rows - 1)), round((x - left) / (right - left) * (columns - 1))
    ]


@pytest.mark.parametrize("code", range(4))
def test_pixels_at_the_centers_have_the_colours_of_their_posteriors(figure: Figure, code: int) -> None:
    """By Bayes' rule, equal weights and sigma = 1; a pixel is 0.02 wide, in which a colour moves by less than 0.02."""
    squared = [math.dist(FOUR_CENTERS[code], center) ** 2 for center in FOUR_CENTERS]
    weights = np.exp([-0.5 * d for d in squared])
    expected = sum(w * color for w, color in zip(weights / weights.sum(), COLORS, strict=True))
    np.testing.assert_allclose(pixel_at(picture(figure, "a"), *FOUR_CENTERS[code]), expected, atol=0.02)
    nearest = COLORS[np.argmin(squared)]  # equal weights: the decision map is the Voronoi diagram of the centers
    np.testing.assert_allclose(pixel_at(picture(figure, "b"), *FOUR_CENTERS[code]), nearest)


def test_the_decision_map_is_the_voronoi_diagram_of_the_centers(figure: Figure) -> None:
    image, rng = picture(figure, "b"), np.random.default_rng(0)
    left, right, bottom, top = image.get_extent()
    for x, y in rng.uniform((left, bottom), (right, top), (200, 2)):
        first, second = sorted(math.dist((x, y), center) for center in FOUR_CENTERS)[:2]
        if second - first > 0.05:  # not within a pixel of a border
            nearest = min(range(4), key=lambda code: math.dist((x, y), FOUR_CENTERS[code]))
            np.testing.assert_allclose(pixel_at(image, x, y), COLORS[nearest])


def test_the_panels_show_what_their_titles_say(figure: Figure) -> None:
    """With the true decoder (d) is (b); a decoder of its own makes its own map, the encoder its own in any case."""
    b, c, d = (picture(figure, letter).get_array() for letter in "bcd")
    assert np.mean((b != d).any(-1)) < 1e-3  # borders in single precision
    assert np.mean((b != c).any(-1)) > 0.1
    process = GaussianMixture()
    model, coupled, rbm = models(process)
    swapped = process.centers.float()[[1, 0, 2, 3]]
    with torch.no_grad():
        model.decoder.network.weight.copy_(swapped)
    other = mixture_picture(process, model, coupled, rbm)
    b, d = (picture(other, letter) for letter in "bd")
    assert not np.array_equal(b.get_array(), d.get_array())
    for code, color in zip((1, 0, 2, 3), COLORS, strict=True):
        np.testing.assert_allclose(pixel_at(d, *FOUR_CENTERS[code]), color)


def test_the_rbms_panel_is_its_own_posterior(figure: Figure) -> None:
    """Equally likely corners of a rectangle: the nearest one; its names are those nearest to the true centers."""
    image, order = picture(figure, "e"), named_after(np.array(FOUR_CENTERS), RECTANGLE.numpy())
    assert sorted(order) == [0, 1, 2, 3]
    for code, color in zip(order, COLORS, strict=True):
        x, y = (0.9 * RECTANGLE[code]).tolist()
        np.testing.assert_allclose(pixel_at(image, x, y), color)


def test_the_coupled_encoder_has_a_panel_of_its_own(figure: Figure) -> None:
    titles = [axes.get_title()[:3] for axes in figure.axes]
    assert titles == [f"({letter})" for letter in "abcdefg"]
    assert not np.array_equal(picture(figure, "c").get_array(), picture(figure, "g").get_array())


@pytest.mark.parametrize("rename", [[1, 0, 3, 2], [2, 3, 0, 1], [0, 2, 1, 3], [3, 1, 2, 0]], ids=str)
def test_bits_that_were_flipped_or_swapped_get_their_names_back(rename: list[int]) -> None:
    truth = np.array(FOUR_CENTERS)
    assert truth[rename][named_after(truth, truth[rename])] == pytest.approx(truth)


def test_names_stay_what_bits_can_be_renamed_to() -> None:
    """00 and 11 differ in both bits under any of their eight names; 00 and 01 exchanged alone would not."""
    truth = np.array(FOUR_CENTERS)
    order = named_after(truth, truth[[1, 0, 2, 3]])
    assert {frozenset((order[0], order[3])), frozenset((order[1], order[2]))} == {frozenset((0, 3)), frozenset((1, 2))}


def test_the_simplex_holds_the_products_of_independent_bits() -> None:
    """The surface at P(b_1 = 1) = p, P(b_2 = 1) = q: its height is P(b_1 != b_2), its colour that of the four codes."""
    axes = Figure().add_subplot(projection="3d")
    with patch.object(axes, "plot_surface", wraps=axes.plot_surface) as plot:
        draw_simplex(axes)
    p, q, height = map(torch.from_numpy, plot.call_args.args)
    assert {(0, 0), (0, 1), (1, 0), (1, 1), (0.5, 0.5)} <= set(zip(p.ravel().tolist(), q.ravel().tolist(), strict=True))
    bits = torch.tensor([[int(bit) for bit in code] for code in CODES]).double()
    product = Independent(Bits(torch.stack((p, q), -1)), 1).log_prob(bits[:, None, None]).exp().movedim(0, -1)
    np.testing.assert_allclose(height, product @ (bits[:, 0] != bits[:, 1]).double(), atol=1e-6)
    np.testing.assert_allclose(
        plot.call_args.kwargs["facecolors"][..., :3], product @ torch.from_numpy(COLORS), atol=1e-6
    )


def test_vertices_of_the_simplex_are_the_four_codes_equally_far_apart() -> None:
    for code, vertex in zip(CODES, VERTICES, strict=True):
        first, second = map(int, code)
        assert vertex.tolist() == [first, second, first != second]
    assert {round(math.dist(a, b), 12) for a, b in combinations(VERTICES, 2)} == {round(math.sqrt(2), 12)}


def test_the_simplex_is_drawn_without_a_display() -> None:
    canvas = FigureCanvasAgg(arrange([Panel("simplex", draw_simplex, "3d")]))
    canvas.draw()
    assert np.ptp(np.asarray(canvas.buffer_rgba())[..., :3]) == 255


def test_an_unknown_study_is_told_with_those_there_are() -> None:
    with pytest.raises((ValueError, TypeError), match="mixture"):
        reproduce("mixtures")  # type: ignore[arg-type]
