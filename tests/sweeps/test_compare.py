"""Runs in a table: what differs, the best validation and when, the best first; what cannot be compared is refused."""

from __future__ import annotations

import copy
import csv
import json
import math
import statistics
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from support.command import command
from support.short_run import CONFIG
from torch.utils.tensorboard.writer import SummaryWriter

from vae_lightning.sweeps.comparison import trained
from vae_lightning.sweeps.comparison.trained import higher_is_better

Make = Callable[..., Path]


def changed(options: dict[str, Any]) -> dict[str, Any]:
    """The configuration of a run, with some options otherwise."""
    config = copy.deepcopy(CONFIG) | {"seed_everything": 0}
    for name, value in options.items():
        *parents, last = name.split(".")
        where = config
        for part in parents:
            where = where.setdefault(part, {})
            where = where.get("init_args", where)
        where[last] = value
    return config


@pytest.fixture
def make(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Make:
    """Writes the records of a run as the command does: its curve of val/nelbo, and its last figures."""
    monkeypatch.chdir(tmp_path)

    def written(name: str, curve: dict[int, float], test: float | None = None, **options: Any) -> Path:
        folder = Path("runs") / name
        folder.mkdir(parents=True)
        named = {option.replace("__", "."): value for option, value in options.items()}
        (folder / "config.yaml").write_text(yaml.safe_dump(changed(named)))
        rows = [f"{step},{value},{value / 4}" for step, value in curve.items()]
        (folder / "metrics.csv").write_text("\n".join(["step,val/nelbo,val/kl", *rows]))
        last = [*curve.values()][-1]
        figures = {"val/nelbo": last, "val/kl": last / 4, "train/loss": 1.0}
        tested = {} if test is None else {"test/nelbo": test, "test/nelbo_error": 0.5}
        (folder / "metrics.json").write_text(json.dumps(figures | tested))
        return folder

    return written


def table(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> list[list[str]]:
    """What is printed, as words."""
    command("compare", *arguments)
    return [line.split() for line in capsys.readouterr().out.splitlines()]


def refused(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> str:
    with pytest.raises(SystemExit) as left:
        command("compare", *arguments)
    assert left.value.code == 1
    (line,) = capsys.readouterr().err.splitlines()
    return line


def test_the_best_validation_and_its_step_the_best_run_first(make: Make, capsys: pytest.CaptureFixture[str]) -> None:
    make("a", {9: 30.0, 19: 28.0, 29: 29.0}, test=28.5, model__latent_dim=8)
    make("b", {9: 31.0, 19: 27.0}, test=27.5, model__latent_dim=16)
    make("c", {9: math.nan, 19: 40.0}, model__latent_dim=4, seed_everything=3)
    assert table(capsys, "runs", "--also", "val/kl") == [
        ["run", "latent_dim", "seed_everything", "val/nelbo", "step", "val/kl"],
        ["b", "16", "0", "27.0000", "19", "6.7500"],
        ["a", "8", "0", "28.0000", "19", "7.0000"],
        ["c", "4", "3", "40.0000", "19", "10.0000"],
        ["best:", "runs/b"],
    ]
    assert table(capsys, "runs", "--mode", "max")[1][0] == "c"


def test_the_test_split_is_shown_if_it_is_asked_for(make: Make, capsys: pytest.CaptureFixture[str]) -> None:
    make("a", {9: 30.0}, test=28.5)
    make("b", {9: 31.0}, seed_everything=1)
    heading, first, second, _ = table(capsys, "runs", "--test")
    assert heading[-1] == "test/nelbo"
    assert first[-3:] == ["28.5000", "±", "0.5000"]
    assert second[-1] == "9"
    assert "to see those, add --test" in refused(capsys, "runs", "--by", "test/nelbo")


def test_a_run_that_went_on_with_other_options_has_the_last_and_a_line_of_its_own(
    make: Make, capsys: pytest.CaptureFixture[str]
) -> None:
    """A run that was only trained longer is one of that length, and needs none."""
    make("a", {9: 30.0})
    for name, options in (("longer", {}), ("other", {"data.batch_size": 10, "trainer.log_every_n_steps": None})):
        later = make(name, {9: 30.0, 29: 28.0}) / "config-00000020.yaml"
        later.write_text(yaml.safe_dump(changed({"trainer.max_epochs": 3, **options})))
    lines = table(capsys, "runs")
    assert [line[:4] for line in lines[:2]] == [
        ["run", "batch_size", "log_every_n_steps", "max_epochs"], ["longer", "20", "5", "3"]
    ]  # fmt: skip
    said = "other: from step 20 on with data.batch_size 10 (20 before), trainer.log_every_n_steps none (5 before)"
    assert [line for line in lines if "step" in line][1:] == [said.split()]


def test_means_over_seeds_have_their_standard_error(make: Make, capsys: pytest.CaptureFixture[str]) -> None:
    values = {1: [30.0, 31.0, 33.0], 4: [28.0, 28.5, 26.0]}
    for beta, found in values.items():
        for seed, value in enumerate(found):
            make(f"beta={beta},seed={seed}", {9: value}, model__evaluation_samples=beta, seed_everything=seed)
    lines = table(capsys, "runs", "--over", "seed_everything", "--csv", "out/table.csv")
    errors = {beta: statistics.stdev(found) / math.sqrt(3) for beta, found in values.items()}
    assert lines == [
        ["evaluation_samples", "runs", "val/nelbo"],
        ["4", "3", "27.5000", "±", f"{errors[4]:.4f}"],
        ["1", "3", "31.3333", "±", f"{errors[1]:.4f}"],
    ]
    with Path("out/table.csv").open(newline="") as file:
        first = next(csv.DictReader(file))
    assert (first["model.evaluation_samples"], first["runs"]) == ("4", "3")
    assert float(first["val/nelbo_error"]) == pytest.approx(errors[4])
    assert "exists: give another file, or --overwrite" in refused(capsys, "runs", "--csv", "out/table.csv")
    command("compare", "runs", "--csv", "out/table.csv", "--overwrite")
    assert len(Path("out/table.csv").read_text().splitlines()) == 7


def test_runs_that_start_from_other_models_are_not_taken_for_the_same(
    make: Make, capsys: pytest.CaptureFixture[str]
) -> None:
    """Over seeds, one mean was taken of them all."""
    for seed, start in enumerate(("a.ckpt", "b.ckpt")):
        make(f"seed={seed}", {9: 30.0 + seed}, start_from=start, seed_everything=seed)
    lines = table(capsys, "runs", "--over", "seed_everything")
    assert lines[:2] == [["start_from", "runs", "val/nelbo", "step"], ["a.ckpt", "1", "30.0000", "9"]]


def test_a_mean_over_runs_one_of_which_is_not_finite_has_no_error(
    make: Make, capsys: pytest.CaptureFixture[str]
) -> None:
    """It ended in an AttributeError."""
    for seed, test in enumerate((28.5, math.inf)):
        make(f"seed={seed}", {9: 30.0}, test=test, seed_everything=seed)
    assert table(capsys, "runs", "--over", "seed_everything", "--test")[1][-1] == "inf"


DIFFERENT = {
    "another split": ({"data__seed": 1}, "data.seed is"),
    "another binarisation": ({"data__binarisation": None}, "data.binarisation is"),
    "another file": ({"data__path": "b.csv"}, "data.path is"),
    "other data": ({"data": {"class_path": "vae_lightning.data.Arrays", "init_args": {}}}, "data is"),
}


@pytest.mark.parametrize(("options", "said"), DIFFERENT.values(), ids=DIFFERENT)
def test_two_runs_of_different_data_are_refused(
    options: dict[str, Any], said: str, make: Make, capsys: pytest.CaptureFixture[str]
) -> None:
    make("a", {9: 30.0}, data__seed=0, data__path="a.csv")
    make("b", {9: 31.0}, **{"data__seed": 0, "data__path": "a.csv"} | options)
    line = refused(capsys, "runs")
    assert "two runs of different data in compare" in line
    assert said in line


def test_two_runs_of_different_data_are_refused_where_the_first_does_not_say(
    make: Make, capsys: pytest.CaptureFixture[str]
) -> None:
    make("a", {9: 30.0})
    for seed, name in enumerate("bc"):
        make(name, {9: 31.0}, data__seed=seed)
    assert "data.seed is 0 in runs/b, 1 in runs/c" in refused(capsys, "runs")


def test_a_run_that_was_made_twice_is_named_where_a_mean_has_it_twice(
    make: Make, capsys: pytest.CaptureFixture[str]
) -> None:
    """As in the folder of a sweep that has got another axis; one folder that is given twice is one run."""
    make("latent_dim=2", {9: 30.0}, seed_everything=0)
    make("latent_dim=2,seed=0", {9: 30.0}, seed_everything=0)
    make("latent_dim=2,seed=1", {9: 31.0}, seed_everything=1)
    printed = table(capsys, "runs", Path("runs").resolve(), "--over", "seed_everything")
    given = trained.found(["runs/latent_dim=2,seed=1", "runs"])  # in this order, each once
    assert [run.name for run in given] == ["latent_dim=2,seed=1", "latent_dim=2", "latent_dim=2,seed=0"]
    assert printed[1][:2] == ["3", "30.3333"]
    assert " ".join(printed[2]) == "latent_dim=2 and latent_dim=2,seed=0 have the same options, and count as two runs"


def test_how_data_are_read_does_not_make_them_different(make: Make, capsys: pytest.CaptureFixture[str]) -> None:
    make("a", {9: 30.0}, data__batch_size=20, data__path="x.csv")
    make("b", {9: 31.0}, data__batch_size=40, data__path=str(Path("x.csv").resolve()))
    assert table(capsys, "runs")[0][:2] == ["run", "batch_size"]


def test_a_family_whose_constants_differ_is_refused_but_a_scale_is_compared(
    make: Make, capsys: pytest.CaptureFixture[str]
) -> None:
    def normal(scale: float) -> dict[str, Any]:
        return {"class_path": "vae_lightning.families.Normal", "init_args": {"event_shape": 64, "scale": scale}}

    make("a", {9: 30.0}, model__observed=normal(1.0))
    make("b", {9: 31.0}, model__observed=normal(0.5))
    assert table(capsys, "runs")[0][:2] == ["run", "scale"]
    make("c", {9: 31.0})
    assert "two runs that observe different things" in refused(capsys, "runs")


def test_documents_of_another_vocabulary_are_refused(make: Make, capsys: pytest.CaptureFixture[str]) -> None:
    """As the checkpoints have it: a folder of texts may have changed under the same path."""
    for name, digest in {"a": "0123456789abcdef", "b": "fedcba9876543210"}.items():
        run = make(name, {9: 30.0}, data__num_words=80)
        (run / "checkpoints").mkdir()
        torch.save({"Texts": {"vocabulary_hash": digest}}, run / "checkpoints/last.ckpt")
    assert "the vocabulary's hash is ['0123456789ab'] in runs/a" in refused(capsys, "runs")


def test_across_objectives_the_negative_elbo_is_compared_and_losses_are_not(
    make: Make, capsys: pytest.CaptureFixture[str]
) -> None:
    elbo, iwae = ({"class_path": f"vae_lightning.objectives.{name}"} for name in ("ELBO", "IWAE"))
    make("a", {9: 30.0}, model__objective=elbo)
    make("b", {9: 31.0}, model__objective=iwae)
    assert table(capsys, "runs")[1][:2] == ["a", "ELBO"]
    line = refused(capsys, "runs", "--by", "train/loss")
    assert "by each run's own objective, and these differ in model.objective: compare by" in line


def test_estimates_of_other_settings_are_said_to_be(make: Make, capsys: pytest.CaptureFixture[str]) -> None:
    for name, samples in {"a": 10, "b": 1000}.items():
        run = make(name, {9: 30.0}, trainer__callbacks=[{"class_path": "x.LogLikelihood", "init_args": {"k": samples}}])
        (run / "metrics.json").write_text(json.dumps({"val/log_likelihood": -samples, "val/log_likelihood_error": 0.1}))
    lines = table(capsys, "runs", "--by", "val/log_likelihood")
    assert [line[:2] for line in lines[:3]] == [["run", "k"], ["a", "10"], ["b", "1000"]]  # higher is better
    assert "a tighter bound" in " ".join(lines[3])


def test_event_files_are_read_as_well(tmp_path: Path, make: Make, capsys: pytest.CaptureFixture[str]) -> None:
    run = make("a", {9: 1.0})
    with SummaryWriter(str(run)) as writer:
        for step, value in {9: 30.0, 19: 20.0, 29: 25.0}.items():
            writer.add_scalar("val/nelbo", value, step)
    assert table(capsys, run)[1] == ["a", "20.0000", "19"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nowhere"], "nowhere is no folder: give folders of runs"),
        (["empty"], "empty holds no run, which has a config.yaml"),
        (["runs", "--by", "val/elbo"], "no run has val/elbo: there are train/loss, val/kl, val/nelbo"),
        (["runs", "--over", "model.beta"], "the runs have no such option"),
    ],
)
def test_what_is_not_there_is_said(
    arguments: list[str], said: str, make: Make, capsys: pytest.CaptureFixture[str]
) -> None:
    make("a", {9: 30.0})
    Path("empty").mkdir()
    assert said in refused(capsys, *arguments)


@pytest.mark.parametrize(("file", "content"), [("config.yaml", "[1]"), ("config.yaml", "a: ["), ("metrics.json", "{")])
def test_a_damaged_record_is_named(file: str, content: str, make: Make, capsys: pytest.CaptureFixture[str]) -> None:
    make("a", {9: 1.0})
    Path("runs/a", file).write_text(content)
    Path("runs/a/metrics.csv").unlink()
    assert f"runs/a/{file} is damaged, or no record of a run" in refused(capsys, "runs")


def test_a_run_without_the_figure_and_one_that_failed_are_named(make: Make, capsys: pytest.CaptureFixture[str]) -> None:
    make("a", {9: 30.0})
    failed = make("b", {9: 1.0}, seed_everything=1)
    (failed / "metrics.csv").unlink()
    (failed / "metrics.json").unlink()
    (failed / "sweep.json").write_text(json.dumps({"settings": [], "state": "failed", "error": "ValueError: no"}))
    printed = [" ".join(line) for line in table(capsys, "runs")]
    assert "b: no val/nelbo" in printed
    assert "b: ValueError: no" in printed


HIGHER = [
    *("elbo", "log_likelihood", "log_likelihood_k10", "jackknife", "active_units", "effective_sample_fraction"),
    *("effective_sample_size", "mismatch_effective_sample_size", "precision@100", "precision_within_2", "bit_entropy"),
    *("accuracy", "accuracy/Smiling", "balanced_accuracy", "auc", "auc/Smiling", "psnr", "precision", "accuracy_top5"),
]
LOWER = [
    *("nelbo", "deviance", "perplexity", "marginal_kl", "mismatch", "fid", "smooth_knn", "gradient_variance"),
    *("log_likelihood_sampling_error", "elbo_error", "inactive_units_fraction", "bit_uncertainty", "of one's own"),
]


def test_the_best_is_what_the_glossary_calls_better() -> None:
    assert [name for name in HIGHER + LOWER if higher_is_better(f"val/{name}", [])] == HIGHER


def test_samples_that_may_be_copies_are_named(make: Make, capsys: pytest.CaptureFixture[str]) -> None:
    for name, value in {"honest": 0.5, "copies": -5.7}.items():
        run = make(name, {9: 30.0}, seed_everything=len(name))
        (run / "metrics.csv").write_text(f"step,val/smooth_knn\n9,{value}")
    printed = [" ".join(line) for line in table(capsys, "runs", "--by", "val/smooth_knn")]
    assert "val/smooth_knn is below -2 in copies: samples may be copies of observations" in printed
