"""The shape that benchmarks share: all are in `make bench`, a row has its six fields, and what moved is named."""

from __future__ import annotations

import importlib
import json
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).parent.parent / "benchmarks"
NOT_COMPARED = {"run", "house", "way"}  # the command itself, and measures of the code


@pytest.fixture(scope="module")
def bench():
    """The package and the command of the folder, which is no package itself."""
    sys.path.insert(0, str(FOLDER))
    yield importlib.import_module("comparisons"), importlib.import_module("run")
    sys.path.remove(str(FOLDER))


def test_every_benchmark_is_run_by_make_bench(bench):
    _, run = bench
    assert {path.stem for path in FOLDER.glob("*.py")} == {*run.BENCHMARKS, *NOT_COMPARED}
    assert [name for name in run.BENCHMARKS if "    main({" not in (FOLDER / f"{name}.py").read_text()] == []


def test_contestants_take_turns_after_a_warm_up(bench):
    comparisons, _ = bench
    order = []
    costs = comparisons.in_turns({name: lambda name=name: order.append(name) or len(order) for name in "ab"}, 2)
    assert order == list("ababab")
    assert costs == {"a": [3, 5], "b": [4, 6]}


def test_a_row_has_medians_the_median_of_the_rounds_ratios_and_its_aim(bench):
    comparisons, _ = bench
    costs = {"ours": [1.0, 2.0, 4.0], "peer": [3.0, 4.0, 20.0]}  # ratios of the rounds: 3, 2, 5
    row = comparisons.Comparison("a step", "ours", "peer", comparisons.AsFast(2.5)).row(costs).as_json()
    six = {"work": "a step", "ours": 2.0, "other": 4.0, "ratio": 3.0, "aim": "at least 2.5", "met": True}
    assert row == six | {"peer": "peer", "unit": "ms", "middle": [2.5, 4.0]}


@pytest.mark.parametrize(
    ("kind", "aim", "ratio", "met"),
    [("AsFast", 3.0, 2.0, False), ("Share", 0.5, 0.5, True), ("Share", None, 0.5, None)],
)
def test_an_aim_says_what_is_divided_by_what(bench, kind, aim, ratio, met):
    comparisons, _ = bench
    relation = getattr(comparisons, kind)(aim)
    assert relation.ratio(1.0, 2.0) == ratio
    assert relation.met(ratio) is met


def test_a_peer_that_is_not_installed_says_so_in_its_row(bench):
    comparisons, _ = bench

    def build():
        raise ImportError("No module named 'nowhere'")

    ways = {"ours": lambda: 1.0, "nowhere": comparisons.peer("nowhere", build)}
    row = comparisons.Comparison("a step", "ours", "nowhere").row(comparisons.in_turns(ways, 1)).as_json()
    assert (row["ours"], row["other"], row["ratio"], row["met"]) == (1.0, None, None, None)
    assert "nowhere is not installed" in row["why"]


def test_what_moved_by_more_than_a_tenth_is_named_and_what_is_gone(bench):
    record = importlib.import_module("comparisons.record")

    def of(**ratios):
        rows = [{"work": work, "peer": "p", "ratio": ratio, "met": None} for work, ratio in ratios.items()]
        found = record.Record()
        found.replace("steps", rows, {"commit": "0000000"})
        return found

    moved = list(record.moved(of(near=1.0, far=1.0, gone=2.0), of(near=1.09, far=1.2, new=1.0)))
    assert moved == [
        "steps: far, beside p: 1 -> 1.2 (+20%), middle half of one round",
        "steps: gone, beside p: 2 -> not measured",
    ]
    assert list(record.moved(of(far=1.0), record.Record())) == []  # a benchmark that was not run has not moved


def test_the_committed_record_has_rows_of_six_fields_and_reads_as_it_was_written(bench):
    _, run = bench
    text = run.RECORD.read_text()
    record = run.Record.read(text)
    six = {"work", "ours", "other", "ratio", "aim", "met"}
    assert [row for row in record.rows if not six <= set(row)] == []
    assert set(record.runs) <= set(run.BENCHMARKS)
    assert json.loads(record.as_json()) == json.loads(text)
    assert run.PAGE.read_text() == record.table()
