"""Curves: the same from TensorBoard's events and from a CSV file; lines that stay in their chart."""

from __future__ import annotations

from pathlib import Path

import pytest
from lightning.pytorch.loggers import CSVLogger
from support.models import digits, events, gaussian_vae, trainer

from vae_lightning.reports.charts import BOTTOM, LEFT, RIGHT, TOP, chart, charts_of_run, charts_of_runs
from vae_lightning.sweeps.comparison.curves import Curve, read_curves


def test_rows_give_the_curves_that_events_give(run_with_figures: Path, tmp_path: Path) -> None:
    run = trainer(logger=CSVLogger(tmp_path, name=""), max_epochs=2)
    run.fit(gaussian_vae(), digits())
    rows = read_curves(Path(str(run.log_dir)))
    assert rows["val/nelbo"].steps == [9, 19] == read_curves(run_with_figures)["val/nelbo"].steps
    logged = events(run_with_figures).Scalars("val/nelbo")
    assert read_curves(run_with_figures)["val/nelbo"].values == [point.value for point in logged]
    assert rows["train/loss"].steps[0] == 1


def test_what_is_no_csv_of_numbers_is_named(tmp_path: Path) -> None:
    (tmp_path / "metrics.csv").write_text("step,val/nelbo\n1,two\n")
    with pytest.raises(ValueError, match=r"metrics\.csv is not as CSVLogger writes it: could not convert"):
        read_curves(tmp_path)


def test_an_axis_is_made_for_what_comes_after_the_first_steps() -> None:
    """A loss that begins at a million: the line leaves the chart there, and is seen everywhere else."""
    (series,) = (
        drawn := chart("loss", {"training": Curve(list(range(100)), [1e6] + [2.0, 1.0] * 49 + [1.5], [])})
    ).series
    points = [tuple(map(float, point.split(","))) for point in series.points.split()]
    assert points[0][1] < TOP
    assert all(LEFT <= x <= RIGHT and TOP <= y <= BOTTOM for x, y in points[1:])
    assert [tick.label for tick in drawn.y] == ["1.2", "1.5", "1.8"]


def test_long_curves_are_drawn_by_some_of_their_points_and_the_last() -> None:
    steps = list(range(10_000))
    (series,) = chart("loss", {"training": Curve(steps, [float(step) for step in steps], [])}).series
    assert len(series.points.split()) <= 302
    assert series.last == "9,999"


def test_one_point_is_a_dot_in_the_middle() -> None:
    drawn = chart("active_units", {"validation": Curve([799], [10.0], [])})
    assert drawn.series[0].dot == ((LEFT + RIGHT) / 2, (TOP + BOTTOM) / 2)
    assert [tick.label for tick in drawn.x] == ["799"]


def test_a_run_keeps_its_colour_in_every_chart() -> None:
    one, two = ({f"val/{name}": Curve([1, 2], [1.0, 2.0], []) for name in names} for names in ("ab", "bc"))
    (both,) = charts_of_runs({"one": one, "two": two})
    assert [(series.label, series.number) for series in both.series] == [("one", 1), ("two", 2)]
    assert [drawn.name for drawn in charts_of_run(one | {"val/a_error": one["val/a"], "epoch": one["val/a"]})] == [
        "a",
        "b",
    ]
