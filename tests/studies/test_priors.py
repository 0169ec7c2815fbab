"""`reproduce priors`: cells train and are judged; the files; an interrupted study goes on."""

from __future__ import annotations

import json
import math
from pathlib import Path
from unittest.mock import patch

import pytest
import torch

from vae_lightning.decoders import Autoregressive
from vae_lightning.studies.priors import PriorsStudy
from vae_lightning.studies.priors.cell import CELLS, TERMS, PriorsSize
from vae_lightning.studies.priors.generated import FiguresAndImages, Judged, from_pseudo_inputs
from vae_lightning.studies.priors.models import IMAGE
from vae_lightning.studies.priors.pictures import priors_picture
from vae_lightning.studies.priors.study import METRICS, named
from vae_lightning.studies.trainings import Trainings

SOME = {cell.name: cell for cell in CELLS if cell.name in ("VampPrior of 100", "IWAE, K = 5")}
STUDY = PriorsStudy("quick", 3, PriorsSize(epochs=10, seeds=2, samples=20), list(SOME.values()))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("study") / "priors"
    STUDY.reproduce(out)
    return out


def test_rows_are_means_over_seeds_with_their_error(folder: Path) -> None:
    rows = json.loads((folder / "results.json").read_text())
    assert {(row["cell"], row["metric"]) for row in rows} == {(c, m) for c in SOME for m in METRICS}
    for row in rows:
        name = row["cell"].replace(" ", "-").replace(",", "").replace("=-", "")
        runs = [json.loads((folder / "cells" / name / f"seed-{s}" / "figures.json").read_text()) for s in (3, 4)]
        first, second = (run["figures"][row["metric"]] for run in runs)
        assert row["value"] == pytest.approx((first + second) / 2)
        assert row["stderr"] == pytest.approx(abs(first - second) / 2)


def test_the_terms_of_every_row_are_its_elbo(folder: Path) -> None:
    rows = json.loads((folder / "results.json").read_text())
    value = {(row["cell"], row["metric"]): row["value"] for row in rows}
    for cell in SOME:
        terms = sum(value[cell, term] for term in ("reconstruction", "mutual_information", "marginal_kl"))
        assert -value[cell, "elbo"] == pytest.approx(terms, abs=1e-9)


def test_the_elbo_of_the_terms_is_that_of_independent_samples(folder: Path) -> None:
    """L_1 of the importance weights is an average over other samples of z, of the same digits."""
    for path in folder.glob("cells/*/*/figures.json"):
        run = json.loads(path.read_text())["figures"]
        # both errors count the digits, which they share: their difference is within either by far
        assert run["elbo"] == pytest.approx(run["elbo_of_weights"], abs=run["elbo_error"])


def test_terms_of_a_cell_add_up(folder: Path) -> None:
    """The rate is mutual information and marginal KL, of the test's own samples of z."""
    for path in folder.glob("cells/*/*/figures.json"):
        run = json.loads(path.read_text())["figures"]
        assert run["rate"] == pytest.approx(run["mutual_information"] + run["marginal_kl"], abs=1e-4)
        assert run["reconstruction"] < 64 * math.log(2)  # better than fair coins
        assert run["log_likelihood"] > run["elbo"] - 4 * run["log_likelihood_error"]
        assert run["log_n"] == pytest.approx(math.log(359), abs=1e-4)  # the test split's digits


def test_table_and_picture(folder: Path) -> None:
    table = (folder / "table.md").read_text()
    assert table.count("\n| ") == 2 + len(SOME)
    assert all(f"- {name}: " in table for name in ("scale", "seeds", "steps a cell", "version", "machine"))
    assert (folder / "priors.png").stat().st_size > 10_000
    assert list((folder / "tensorboard").glob("events*"))


def test_a_figure_that_is_not_finite_keeps_no_picture_from_being_drawn() -> None:
    """The study ended in "Axis limits cannot be NaN or Inf", without a table."""
    runs = dict.fromkeys((*TERMS, "log_likelihood"), 1.0)
    picture = priors_picture({"a": (TERMS, [runs | {"marginal_kl": math.inf}]), "b": (TERMS, [runs])})
    assert all(math.isfinite(limit) for axes in picture.axes for limit in axes.get_xlim())


def test_a_training_whose_file_is_damaged_begins_anew(tmp_path: Path) -> None:
    """No rerun of the study came past it."""
    study = PriorsStudy("quick", 3, PriorsSize(epochs=1, seeds=1, samples=2, validate_every=1), "standard-normal")
    (cell,) = study.cells()
    last = Trainings(tmp_path / "cells" / cell.path, study.depends_on(cell)).last
    last.parent.mkdir(parents=True)
    last.write_bytes(b"PK but no weights")
    with pytest.warns(UserWarning, match=r"last\.ckpt is not a whole checkpoint .*: the training begins anew"):
        study.reproduce(tmp_path)
    assert not last.exists()


def test_finished_cells_are_not_run_again(folder: Path) -> None:
    before = (folder / "results.json").read_text()
    with patch.object(PriorsStudy, "run") as run:
        STUDY.reproduce(folder)
    run.assert_not_called()
    assert (folder / "results.json").read_text() == before


def test_every_cell_makes_a_model_its_objective_can_train() -> None:
    for cell in CELLS:
        assert math.isfinite(cell.build(10).loss((torch.zeros(2, *IMAGE), None), 0)[0])


# -- two levels, and what is generated from pseudo-inputs ------------------------------------------------------------


@pytest.fixture(scope="module")
def levels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("levels") / "priors"
    PriorsStudy("quick", 3, PriorsSize(epochs=10, seeds=1, samples=5), "HVAE").reproduce(out)
    return out


def test_decoders_of_two_levels_have_equally_many_parameters() -> None:
    """To one in a thousand."""
    hvae, pixel = (cell.build(10) for cell in named("HVAE,PixelHVAE"))
    ours, others = (sum(p.numel() for p in module.model.decoder.parameters()) for module in (pixel, hvae))
    assert isinstance(pixel.model.decoder, Autoregressive)
    assert ours <= others < 1.001 * ours


def test_rows_of_two_levels_have_an_elbo_and_no_cut_of_its_rate(levels: Path) -> None:
    rows = json.loads((levels / "results.json").read_text())
    assert {row["metric"] for row in rows} == {"log_likelihood", "elbo", "reconstruction"}
    run = json.loads((levels / "cells" / "HVAE" / "seed-3" / "figures.json").read_text())["figures"]
    assert -run["elbo"] == pytest.approx(run["reconstruction"] + run["kl"], abs=1e-9)
    assert run["elbo"] == pytest.approx(run["elbo_of_weights"], abs=run["elbo_error"])


def test_images_stand_beside_their_pseudo_input_and_are_read_again(levels: Path, folder: Path) -> None:
    """Bits that are drawn, each row led by the pseudo-input, which is of none; of the first seed."""
    study = PriorsStudy("quick", 3, PriorsSize(epochs=10, seeds=1, samples=5), "HVAE")
    with patch.object(PriorsStudy, "run") as run:
        found = study.find(levels)
    run.assert_not_called()
    (result,) = found.values()
    pixels = from_pseudo_inputs(named("PixelHVAE")[0].build(10).model, 0)
    for images in (result.images, pixels):
        assert images is not None
        assert images.shape == (8, 10, 1, 8, 8)
        assert set(images[:, 1:].unique().tolist()) == {0.0, 1.0}
        assert 0 < images[:, 0].min() < images[:, 0].max() < 1
    assert (levels / "pseudo-inputs.png").stat().st_size > 5_000
    assert (folder / "cells" / "VampPrior-of-100" / "seed-3" / "pictures.pt").is_file()
    assert not (folder / "cells" / "IWAE-K-5" / "seed-3" / "pictures.pt").is_file()


def test_a_cell_that_was_kept_without_images_is_read(tmp_path: Path) -> None:
    """One that an earlier version finished: figures alone."""
    kept = FiguresAndImages().read({"elbo": 1}, tmp_path)
    assert (kept.figures, kept.images) == ({"elbo": 1.0}, None)
    (tmp_path / "pictures.pt").write_bytes(b"no archive")
    with pytest.raises(ValueError, match=r"pictures\.pt"):
        FiguresAndImages().read({"elbo": 1}, tmp_path)


def test_of_one_seed_alone_that_seed_is_named_and_its_pseudo_inputs_are_drawn() -> None:
    """As `--only` has it: the study's first seed is not among them."""
    figures = {"steps": 1.0} | dict.fromkeys(METRICS, 1.0)
    found = {repeat: Judged(figures, torch.zeros(8, 10, *IMAGE)) for repeat in STUDY.all_cells() if repeat.seed == 4}
    assert STUDY.settings(found)["seeds"] == "4"
    assert set(STUDY.pictures(found)) == {"priors", "pseudo-inputs"}


def test_models_are_chosen_by_the_names_of_their_folders() -> None:
    assert [cell.name for cell in named("PixelHVAE, IWAE-K-5")] == ["IWAE, K = 5", "PixelHVAE"]
    with pytest.raises(ValueError, match=r"--models of priors takes some of standard-normal, .*; got HVEA"):
        named("HVEA")
