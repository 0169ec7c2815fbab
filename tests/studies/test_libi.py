"""The LiBI study in miniature: all its cells' parts together, what is kept, and the choice of hyper-parameters."""

from __future__ import annotations

import inspect
import json
import math
import sys
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from itertools import pairwise
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any
from unittest.mock import patch

import pytest
import torch

from vae_lightning.executors import Local, RayCluster, chosen_executor
from vae_lightning.studies.libi.cell import LiBISize
from vae_lightning.studies.libi.methods import METHODS, PAPER_GRID, Combined, Grid, Training, label, late_decay
from vae_lightning.studies.libi.results import Evaluation, Result
from vae_lightning.studies.libi.study import SIZES, LiBIStudy
from vae_lightning.studies.libi.table import TABLE_ONE, gather
from vae_lightning.studies.libi.worlds import WORLDS
from vae_lightning.studies.report import Row

TINY = LiBISize(
    1, 2, Training(200, True), Grid((0.5, 2.0), (1.0,), 1, (Combined((1.0,), (0.2,), (0.2,), (1,)),)), 50, 5
)


def test_a_miniature_study_trains_chooses_draws_and_reports_and_is_not_run_again(tmp_path: Path) -> None:
    def run() -> list[Row]:
        methods = {name: METHODS[name] for name in ("VAE", "beta-VAE", "LiBI")}
        return LiBIStudy("quick", 0, TINY, {"LinearJTEx": WORLDS["LinearJTEx"]}, methods).reproduce(tmp_path)

    rows = run()
    assert [row.cell for row in rows[:15:5]] == [f"LinearJTEx / {name}" for name in ("VAE", "beta-VAE", "LiBI")]
    for row in rows:
        assert abs(row.value) < 1e4, row
        assert row.stderr is not None, row
    assert json.loads((tmp_path / "results.json").read_text())[0]["paper"] == -3.15
    assert "[-2.99]" in (tmp_path / "table.md").read_text()
    exact = {(row.cell.partition(" / ")[2], row.metric): row for row in rows[15:]}
    for method in ("VAE", "beta-VAE", "LiBI"):
        expected, lacks = exact[method, "expected_log_likelihood"], exact[method, "elbo_shortfall"]
        shortfall = next(row for row in rows if row.cell == expected.cell and row.metric == "shortfall")
        # of 500 points the one, of an endless test set the other
        assert abs(expected.value - (-2.9708 - shortfall.value)) < 4 * (shortfall.stderr or 0)
        assert lacks.value > -2.9708 - expected.value  # by what a mean-field posterior costs
    assert exact["VAE", "elbo_shortfall"].paper == 0.196
    assert "| LinearJTEx / LiBI | expected log likelihood |" in (tmp_path / "table.md").read_text()
    assert {path.name for path in tmp_path.glob("*.png")} == {f"figure-{number}.png" for number in (1, 2, 3)}
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("figures.json")}
    assert len(before) == 3
    assert run() == rows
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("figures.json")} == before


def test_commands_that_share_the_work_end_with_the_rows_of_one(tmp_path: Path) -> None:
    worlds, methods = {"Gaussian": WORLDS["Gaussian"]}, {name: METHODS[name] for name in ("beta-VAE", "LiBI")}
    study = partial(LiBIStudy, "quick", 0, TINY, worlds, methods)
    whole = study().reproduce(tmp_path / "whole")
    for folder, method in (("Gaussian/beta-VAE", "beta-VAE"), ("Gaussian/LiBI/R-1", "LiBI")):
        assert {row.cell for row in study(only=folder).reproduce(tmp_path / "parts")} == {f"Gaussian / {method}"}
        assert "no restart went to the end" not in (tmp_path / "parts" / "table.md").read_text()
    with patch.object(LiBIStudy, "run") as run:
        assert study().reproduce(tmp_path / "parts") == whole
    run.assert_not_called()
    assert not list(tmp_path.rglob("last.ckpt"))


def test_a_method_that_fails_throughout_is_named_and_the_others_have_their_table(tmp_path: Path) -> None:
    def broken(*args: Any) -> Any:
        module = METHODS["VAE"].build(*args)
        module.optimizer = partial(torch.optim.SGD, lr=1e30)
        return module

    methods = {"VAE": METHODS["VAE"], "lagging": replace(METHODS["VAE"], name="lagging", build=broken)}
    with pytest.warns(UserWarning, match="LinearJTEx.*lagging.*no member is left"):
        rows = LiBIStudy("quick", 0, TINY, {"LinearJTEx": WORLDS["LinearJTEx"]}, methods).reproduce(tmp_path)
    assert {row.cell for row in rows} == {"LinearJTEx / VAE"}
    assert "- no restart went to the end: LinearJTEx / lagging" in (tmp_path / "table.md").read_text()


def test_the_full_scale_is_the_papers_protocol_but_for_libis_settings() -> None:
    """Which are those of medium: its validation ranks them."""
    size = SIZES["full"]
    assert (size.data_sets, size.restarts, size.training, size.samples) == (5, 10, Training(30_000, False), 5_000)
    assert (size.comparisons, replace(size.grid, libi=PAPER_GRID.libi)) == (20_000, PAPER_GRID)
    for world in WORLDS.values():
        tried = SIZES["medium"].grid.of_libi(world)
        assert all(setting in tried for setting in size.grid.of_libi(world))
    counts = {
        (world, method): len(METHODS[method].settings(WORLDS[world], PAPER_GRID))
        for world in TABLE_ONE
        for method in METHODS
    }
    assert [counts["LinearJTEx", method] for method in METHODS] == [1, 3, 4, 4, 32]
    assert [counts["Mobius", method] for method in METHODS] == [1, 3, 4, 4, 24]


def test_medium_ranks_the_papers_settings_of_one_repeat_and_tries_more_repeats_on_one_of_them() -> None:
    in_linear = [label(setting) for setting in SIZES["medium"].grid.of_libi(WORLDS["LinearJTEx"])]
    of_paper = [label(setting) for setting in METHODS["LiBI"].groups(WORLDS["LinearJTEx"], PAPER_GRID)["R=1"]]
    assert in_linear == [*of_paper, "HZ=1 cov=0.2 mean=0.2 R=3"]


def test_settings_that_differ_in_whole_numbers_have_ensembles_of_their_own() -> None:
    groups = METHODS["LiBI"].groups(WORLDS["LinearJTEx"], PAPER_GRID)
    assert {name: len(settings) for name, settings in groups.items()} == {"R=1": 16, "R=6": 16}
    assert label(groups["R=6"][0]) == "HZ=0.001 cov=0.2 mean=0.2 R=6"
    assert list(METHODS["beta-VAE"].groups(WORLDS["LinearJTEx"], PAPER_GRID)) == [""]
    assert len(METHODS["lagging"].groups(WORLDS["Mobius"], PAPER_GRID)) == 4


def test_hyper_parameters_are_chosen_by_validation_beside_the_papers_choice_on_test() -> None:
    figures = {
        "validation": 0.0,
        "log_likelihood": 0.0,
        "exact_log_likelihood": 0.0,
        "shortfall": 0.1,
        "smooth_knn": 2.0,
    }

    def cell(setting: str, validation: float, test: float) -> Result:
        its = figures | {"validation": validation, "log_likelihood": test}
        return Result([Evaluation(setting, data, its) for data in (0, 1)], {})

    found = gather("LinearJTEx", "beta-VAE", [cell("beta=0.5", -3.0, -3.4), cell("beta=2", -3.1, -3.2)])
    assert found.chosen("validation") == "beta=0.5"
    assert found.ranked("log_likelihood") == ["beta=2", "beta=0.5"]
    rows = {row.metric: row for row in found.rows()}
    assert (rows["log_likelihood"].value, rows["log_likelihood_chosen_on_test"].value) == (-3.4, -3.2)
    assert (rows["smooth_knn"].paper, rows["shortfall"].paper, rows["smooth_knn"].stderr) == (1.62, None, 0.0)


def test_a_setting_that_failed_on_a_data_set_gives_way_and_a_method_that_failed_on_all_is_named() -> None:
    found = [("R=1", 0, -3.0), ("R=6", 0, -1.0), ("R=1", 1, -3.0)]
    result = Result([Evaluation(setting, data_set, {"validation": value}) for setting, data_set, value in found], {})
    assert gather("CubicJTEx", "LiBI", [result]).chosen("validation") == "R=1"
    unknown = [Evaluation("R=0", data_set, {"validation": math.nan}) for data_set in (0, 1)]
    ranked = gather("CubicJTEx", "LiBI", [Result(unknown, {}), result]).ranked("validation")
    assert ranked == ["R=1", "R=0", "R=6"]
    assert not gather("CubicJTEx", "LiBI", [Result([], {})]).settings


def test_only_worlds_that_are_in_the_table_are_remarked_on() -> None:
    (remark,) = LiBIStudy("quick", 0, TINY).remarks([Row("Mobius / VAE", "log_likelihood", 1.9, None, 1.88, "nats")])
    assert remark.startswith("Mobius: ")


def test_the_rate_falls_over_the_last_third_of_each_phase() -> None:
    rates = [late_decay(epoch, 30) for epoch in range(60)]
    assert rates[:21] == pytest.approx([1.0] * 21)
    assert all(later < earlier for earlier, later in pairwise(rates[20:30]))
    assert rates[29] < 0.03
    assert rates[30:] == rates[:30]


def test_executors_give_each_item_its_result_and_say_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    assert list(Local().each(lambda item: item**2, range(3))) == [(0, 0), (1, 1), (2, 4)]
    monkeypatch.setitem(sys.modules, "ray", Cluster())
    assert list(RayCluster().each(partial(pow, 2), range(4))) == [(3, 8), (2, 4), (1, 2), (0, 1)]
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(ValueError, match=r"pip install 'vae-lightning\[ray\]'"):
        RayCluster()


def test_a_cluster_is_used_if_the_environment_names_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    assert isinstance(chosen_executor(), Local)
    monkeypatch.setenv("RAY_ADDRESS", "auto")
    monkeypatch.setitem(sys.modules, "ray", Cluster())
    assert isinstance(chosen_executor(), RayCluster)


class Cluster(ModuleType):
    """Ray as far as it is used, as strict as Ray: it makes functions remote and no other callables; the last is done
    first."""

    def __init__(self) -> None:
        super().__init__("ray")

    def init(self, ignore_reinit_error: bool) -> None:
        assert ignore_reinit_error

    def remote(self, num_cpus: int) -> Callable[[Any], SimpleNamespace]:
        def decorate(work: Any) -> SimpleNamespace:
            assert inspect.isfunction(work)
            return SimpleNamespace(remote=lambda item: partial(work, item))

        return decorate

    def wait(self, running: list[Any]) -> tuple[list[Any], list[Any]]:
        return running[-1:], running[:-1]

    def get(self, promise: Callable[[], Any]) -> Any:
        return promise()
