"""`reproduce newsgroups`: a table of a few cells of the miniature archive; going on after a kill; what is marked."""

from __future__ import annotations

import json
import math
import re
import signal
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
import torch
from support.killed import end_of, killed
from support.models import NUM_WORDS, newsgroups

from vae_lightning.data import Newsgroups
from vae_lightning.data.texts.vocabulary import ByDocuments, Ranking
from vae_lightning.estimators import ARM, DisARM, LeaveOneOut
from vae_lightning.loading import load
from vae_lightning.models import HashingVAE
from vae_lightning.objectives import ELBO, FirstThen
from vae_lightning.studies import reproduce
from vae_lightning.studies.newsgroups import NewsgroupsStudy
from vae_lightning.studies.newsgroups.cell import MODELS, Cell
from vae_lightning.studies.newsgroups.hashing import BESIDE, E1, E2, Hashing
from vae_lightning.studies.newsgroups.on_training import OnTraining
from vae_lightning.studies.newsgroups.paper import PAPER
from vae_lightning.studies.newsgroups.remarks import remarks_of
from vae_lightning.studies.newsgroups.size import SIZES, NewsgroupsSize
from vae_lightning.studies.newsgroups.table import Grid
from vae_lightning.studies.newsgroups.table import rows_of as of_cell
from vae_lightning.studies.report import Row, styled

SIZE = NewsgroupsSize(
    epochs=2, many_epochs=1, rate=0.01, linear_seeds=2, rbm_epochs=2, validations=1, chains=4, ais_steps=10,
    bits=(3, 64), retrieved=20,
)  # fmt: skip
SOME = "e1,e3,RBM,e1-RLOO"


def documents(folder: Path, ranking: Ranking) -> Newsgroups:
    return newsgroups(folder, ranking=ranking, batch_size=50)


@pytest.fixture(scope="module")
def small(miniature: Path) -> partial[NewsgroupsStudy]:
    return partial(NewsgroupsStudy, "quick", 3, replace(SIZE, bits=(3,)), corpus=partial(documents, miniature))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, small: partial[NewsgroupsStudy]) -> Path:
    out = tmp_path_factory.mktemp("study") / "newsgroups"
    small(models=SOME, test_every_epoch=True).reproduce(out)
    return out


def values(folder: Path) -> dict[tuple[str, str], float]:
    rows = json.loads((folder / "results.json").read_text())
    return {(row["cell"], row["metric"]): row["value"] for row in rows}


def test_the_paper_has_72_values() -> None:
    assert [len(PAPER[split]) for split in ("train", "test")] == [36, 36]
    assert PAPER["test"][64, 0, "e1"] == 392
    assert PAPER["test"][8, 2, "e3"] == 427
    assert PAPER["train"][16, 1, "e2"] == 329


def test_quick_has_the_cells_of_the_paper_and_the_others_more() -> None:
    quick, medium = NewsgroupsStudy("quick", 0), NewsgroupsStudy("medium", 0)
    assert len(quick.cells()) == 36
    assert all(cell.cell.model.place(cell.cell.bits) in PAPER["test"] for cell in quick.cells())
    of_depth_0 = 4 * (3 + 3) + 1  # with ARM, RLOO, e3 scaled; and one of another vocabulary
    assert len(medium.cells()) == 4 * 9 + 4 * 3 + 1 + 4 + 2 * of_depth_0
    assert {cell.seed for cell in medium.cells() if cell.cell.model.name == "depth 0, e2"} == {0, 1, 2}
    assert {cell.seed for cell in medium.cells() if cell.cell.model.name == "depth 1, e2"} == {0}


def test_folders_and_settings_stay() -> None:
    """What somebody has computed for hours must be found again."""
    medium, full = NewsgroupsStudy("medium", 1), NewsgroupsStudy("full", 0)
    settings = {cell.path: medium.depends_on(cell) for cell in medium.cells()}
    assert settings["64-bits/depth-0/e1/seed-3"] == {
        "seed": 3, "epochs": 80, "rate": 0.002, "samples": 4, "patience": 10, "retrieved": 100,
    }  # fmt: skip
    assert settings["8-bits/depth-2/e2/seed-1"]["rate"] == 0.001
    patient = {path for path, told in settings.items() if "patience" in told}
    assert {"16-bits/depth-1/e1/seed-1", "8-bits/depth-0/e3-scaled/seed-1"} <= patient
    assert not {path for path in patient if re.search("/e[23]/", path)}  # those may be long on a plateau
    assert settings["8-bits/RBM/seed-1"]["epochs"] == 40
    assert {"16-bits/depth-0/e1-RLOO/seed-2", "64-bits/depth-0/e1-by-documents/seed-1"} <= settings.keys()
    of_full = {cell.path: full.depends_on(cell) for cell in full.cells()}["8-bits/depth-0/e1/seed-0"]
    assert (of_full["epochs"], of_full["epochs of many samples"], of_full["rate"]) == (1000, 500, 0.001)


def test_models_are_those_of_the_paper_at_equal_cost(miniature: Path) -> None:
    data = documents(miniature, ByDocuments())
    data.setup()
    deep = Hashing(E2, 2).build(8, data, SIZES["full"])
    shapes = [tuple(weight.shape) for name, weight in deep.model.named_parameters() if "weight" in name]
    assert sorted(shapes) == sorted([(NUM_WORDS, 512), (512, 512), (8, 512), (512, 8), (512, 512), (NUM_WORDS, 512)])
    objective = deep.objective
    assert isinstance(objective, FirstThen)
    assert objective.steps == 1000 * 2  # batches of 50 of 100 documents
    few, many = (objective.at(step).estimator for step in (1999, 2000) if isinstance(objective.at(step), ELBO))
    assert (type(few), few.num_samples, many.num_samples) == (DisARM, 1, 10)
    arm, rloo = (model.estimator(1) for model in BESIDE[:2])
    assert isinstance(arm, ARM)
    assert isinstance(rloo, LeaveOneOut)
    assert (arm.num_samples, rloo.num_samples) == (1, 2)  # pairs, and samples: two evaluations each
    assert isinstance(BESIDE[-1].ranking, ByDocuments)


def test_rows_are_of_both_splits(folder: Path) -> None:
    found = values(folder)
    cells = list(dict.fromkeys(cell for cell, _ in found))
    assert cells == [
        *(f"3 bits, depth {depth}, {encoder}" for depth in (0, 1, 2) for encoder in ("e1", "e3")),
        "3 bits, depth 0, e1, RLOO",
        "3 bits, RBM",
    ]
    for cell in cells:
        assert 0 < found[cell, "precision"] < 1
        assert 0 < found[cell, "train_deviance"] < 60
        assert 0 < found[cell, "deviance"] < found[cell, "nelbo"]
    tested = [cell for cell in cells if (cell, "least_test_deviance") in found]
    assert tested == cells[:6]
    for cell in tested:
        assert found[cell, "least_test_deviance"] <= found[cell, "deviance"] + 1e-4


def test_the_figures_are_those_of_the_checkpoint_that_is_kept(folder: Path, miniature: Path) -> None:
    """Its deviance on both splits, with samples of its own: of 61 documents the two agree to a few standard errors."""
    figures = json.loads((folder / "cells/3-bits/depth-0/e1/seed-3/figures.json").read_text())["figures"]
    (file,) = folder.glob("cells/3-bits/depth-0/e1/seed-3/training-*/checkpoints/*.ckpt")
    module = load(file)
    assert isinstance(module, HashingVAE)
    data = documents(miniature, MODELS[0].ranking)
    data.setup()
    for split, name in ((data, "deviance"), (OnTraining(data), "train_deviance")):
        split.setup()
        with torch.no_grad():
            batches = [
                module.figures(module.evaluate(batch, number))["deviance"]
                for number, batch in enumerate(split.test_dataloader())
            ]
        assert figures[name] == pytest.approx(float(torch.cat(batches).mean()), rel=1e-4)


def test_table_picture_and_remarks(folder: Path) -> None:
    table = (folder / "table.md").read_text()
    assert re.search(r"\| Training \| 3 \| .*\n\| Test \| 3 \|", table)
    assert re.search(r"\| precision at 100 \| 3 \| ", table)
    assert "e1, RLOO" in table
    assert "As the paper reports it" in table
    assert (folder / "newsgroups.png").stat().st_size > 10_000


def test_watching_the_test_split_changes_no_training(
    folder: Path, small: partial[NewsgroupsStudy], tmp_path: Path
) -> None:
    rows = small(models="e1", only="3-bits/depth-0/e1/seed-3").reproduce(tmp_path)
    figures = json.loads((folder / "cells/3-bits/depth-0/e1/seed-3/figures.json").read_text())["figures"]
    assert rows
    assert all(figures.get(row.metric) == row.value for row in rows)
    assert "least_test_deviance" not in {row.metric for row in rows}


def test_killed_at_any_moment_it_ends_with_the_same_rows(small: partial[NewsgroupsStudy], tmp_path: Path) -> None:
    """Killed as its n-th file since it went on was being written: of two VAEs, one of which stops early, and an RBM."""
    size = replace(SIZE, bits=(3,), many_epochs=0, epochs=8, rate=0.3, patience=1, linear_seeds=1)
    corpus, asked = small.keywords["corpus"], "e1-ARM,e3-scaled,RBM"
    study = NewsgroupsStudy("quick", 3, size, models=asked, corpus=corpus)
    study.reproduce(tmp_path / "whole")
    for number in (3, 6, 5, 4):
        assert end_of(partial(killed, study, tmp_path / "killed", number)) == -signal.SIGKILL
    assert end_of(partial(study.reproduce, tmp_path / "killed")) == 0
    assert (tmp_path / "killed" / "results.json").read_text() == (tmp_path / "whole" / "results.json").read_text()
    assert not list((tmp_path / "killed").rglob("last.ckpt"))
    assert min(value for (_, metric), value in values(tmp_path / "whole").items() if metric == "epochs") < 8


def test_models_that_the_paper_does_not_have_are_a_table_of_their_own(small: partial[NewsgroupsStudy]) -> None:
    study = small(models="RBM")
    rows = [
        Row("3 bits, RBM", "deviance", 54.25, None, None, "nats"),
        Row("3 bits, RBM", "epoch", 2.0, None, None, "chosen"),
    ]
    assert study.table(rows) == [["what", "deviance (nats)", "epoch (chosen)"], ["3 bits, RBM", "54.250", "2.000"]]


def test_only_takes_folders(small: partial[NewsgroupsStudy], tmp_path: Path) -> None:
    assert [cell.path for cell in small(only="3-bits/RBM").cells()] == ["3-bits/RBM/seed-3"]
    assert len(small(only="3-bits/depth-0/e1").cells()) == 2
    assert len(small(only="3-bits", models="paper").cells()) == 9 + 3
    refused = r"there is no cell '4-bits', did you mean 3-bits\?; --only takes the folder of one, .* 3-bits/depth-0"
    with pytest.raises(ValueError, match=refused):
        small(only="4-bits").reproduce(tmp_path / "none")
    assert not (tmp_path / "none").exists()
    with pytest.raises(ValueError, match="there is no model e4; --models takes paper, all, or some of e1, e2, e3,"):
        small(models="e1,e4")
    with pytest.raises(ValueError, match="priors takes no --test_every_epoch; newsgroups does"):
        reproduce("priors", test_every_epoch=True)
    with pytest.raises(ValueError, match=r"mixture takes no --models; celeba, newsgroups, priors do$"):
        reproduce("mixture", models="e1")


PLACES = {(8, depth, encoder): f"{depth} {encoder}" for depth in (0, 1) for encoder in ("e1", "e2", "e3")}


def rows_of(*deviances: float) -> tuple[list[Row], dict[str, tuple[int, int, str]]]:
    """The deviances of six places, three of depth 0 and three of depth 1."""
    rows = [
        Row(name, "deviance", value, None, PAPER["test"][place], "nats")
        for (place, name), value in zip(PLACES.items(), deviances, strict=True)
    ]
    return rows, {name: place for place, name in PLACES.items()}


def test_the_best_are_marked_as_the_paper_has_them() -> None:
    heading, line = Grid(*rows_of(420.0, 425.0, 430.0, 419.0, 415.0, 424.0)).table({"deviance": "Test"})
    assert heading[:3] == ["", "bits", "depth 0, e1"]
    assert line == [
        *("Test", "8", "**420.0** [423]", "425.0 [429]", "430.0 [435]"),
        *("419.0 [413]", "**<ins>415.0</ins>** [421]", "424.0 [424]"),
    ]
    shown = styled(line[6])
    assert shown.plain == "415.0 [421]"
    assert [(span.start, span.end, str(span.style)) for span in shown.spans if str(span.style) != "none"] == [
        (0, 5, "bold underline")
    ]


def test_claims_that_do_not_hold_are_said_so() -> None:
    rows, places = rows_of(420.0, 425.0, 460.0, 419.0, 415.0, 424.0)
    told = remarks_of(rows, [Cell(8, Hashing(E1, 0))], places)
    assert "e1 is the best encoder in 1 of 2 settings (not at 8 bits and depth 1), and" in told[1]
    assert told[2] == "8 bits: the best decoder has depth 1."
    assert told[3].endswith("on the test split at: 8 bits, depth 0, e3 (+5.7%).")


def test_brackets_and_marks_are_explained_where_the_table_has_them() -> None:
    """A table of models that the paper does not have is another."""
    rows, places = rows_of(420.0, 425.0, 430.0, 419.0, 415.0, 424.0)
    of_others, of_the_paper = remarks_of([], [], {})[0], remarks_of(rows, [], places)[0]
    assert "In brackets" not in of_others
    assert "In brackets" in of_the_paper


def test_a_difference_that_the_table_does_not_show_is_none() -> None:
    rows, places = rows_of(425.04, 425.0, 430.0, 419.0, 418.97, 418.94)
    (claims,) = [each for each in remarks_of(rows, [], places) if each.startswith("e1 is the best encoder")]
    assert claims == (
        "e1 is the best encoder in 1 of 2 settings (not at 8 bits and depth 1), and e1 <= e2 <= e3 in 1 (not at 8 bits "
        "and depth 1); a difference below 0.05 nats counts as none."
    )


def test_a_figure_that_is_no_number_is_not_the_best_and_hides_no_other() -> None:
    rows, places = rows_of(math.nan, 425.0, 430.0, 419.0, 415.0, 424.0)
    assert "e1 is the best encoder in 0 of 1 settings" in remarks_of(rows, [], places)[1]
    _, line = Grid(rows, places).table({"deviance": "Test"})
    assert line[2:5] == ["nan [423]", "**425.0** [429]", "430.0 [435]"]
    assert line[6] == "**<ins>415.0</ins>** [421]"


def test_a_figure_that_a_cell_of_an_earlier_version_does_not_have_is_left_out() -> None:
    cell = Cell(8, Hashing(E1, 0))
    rows = of_cell(cell, [{"deviance": 420.0, "epochs": 80.0}, {"deviance": 422.0}])
    assert [(row.metric, row.value) for row in rows] == [("deviance", 421.0)]
