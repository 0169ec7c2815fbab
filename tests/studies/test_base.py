"""Study: what a study says of itself, and what the base makes of it."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import get_args

import pytest
from support.powers import Powers

from vae_lightning.studies.base import announce
from vae_lightning.studies.catalogue import STUDIES
from vae_lightning.studies.names import Scale, StudyName
from vae_lightning.studies.repeats import error
from vae_lightning.studies.report import Report, Row, long
from vae_lightning.training import trainer
from vae_lightning.training.records import report


def test_a_study_leaves_rows_a_table_and_pictures(tmp_path: Path) -> None:
    rows = Powers("medium", seed=0).reproduce(tmp_path)
    assert [row.value for row in rows] == [1, 2, 4]
    assert [Row(**row) for row in json.loads((tmp_path / "results.json").read_text())] == rows
    title, table, origin, remark = (tmp_path / "table.md").read_text().strip().split("\n\n")
    assert title == "# Powers of two"
    assert table.splitlines()[-1] == "| n = 2 | power | 4.0000 |  | ones |"
    assert origin.startswith("- scale: medium\n- base: 2\n- version: ")
    assert "\n- seconds: " in origin
    assert remark == "There are 3."
    assert (tmp_path / "powers.png").stat().st_size > 1000
    assert list((tmp_path / "tensorboard").glob("events*"))


def test_a_figure_that_is_not_finite_has_no_error_and_is_null_for_readers_of_strict_json(tmp_path: Path) -> None:
    """A study of several seeds ended in an AttributeError, and one of a single seed wrote NaN."""
    assert error([{"power": 1.0}, {"power": math.nan}], "power") is None
    assert error([{"power": math.inf}, {"power": 2.0}], "power") is None
    Report("Powers", [Row("n = 2", "power", math.inf, math.nan, None, "ones")], [["what"]], {}).write(tmp_path)
    (row,) = json.loads((tmp_path / "results.json").read_text(), parse_constant=pytest.fail)
    assert (row["value"], row["stderr"]) == (None, None)


def test_what_rounds_to_zero_has_no_sign() -> None:
    assert long([Row("n = 2", "power", -1e-9, None, None, "ones")])[1][2] == "0.0000"


def test_an_interrupted_study_goes_on_and_ends_with_the_same_rows(tmp_path: Path) -> None:
    study = Powers("full", seed=0)
    study.breaks_at = 2
    with pytest.raises(KeyboardInterrupt):
        study.reproduce(tmp_path)
    assert {path.parent.name for path in tmp_path.rglob("figures.json")} == {"power-0", "power-1"}
    study.breaks_at = 1  # which is finished, and must not run again
    assert study.reproduce(tmp_path) == Powers("full", seed=0).reproduce(tmp_path / "whole")
    assert "- seconds since it went on: " in (tmp_path / "table.md").read_text()


def test_where_things_are_is_told_as_a_shell_takes_it_whatever_the_folder_is_called(tmp_path: Path, capsys) -> None:
    """A part in brackets was taken for rich's markup, and a blank ended the name."""
    out = tmp_path / "my runs [rate=1]"
    announce(Report("Powers", [], [["what"]], {}), out, [])
    told = capsys.readouterr().out.splitlines()
    assert f"table: {out}/table.md" in told
    assert f"logs: tensorboard --logdir '{out}'" in told
    out.mkdir()
    (out / "events.out.tfevents.0").touch()
    report(out, trainer())
    assert capsys.readouterr().out == f"watch: tensorboard --logdir '{out}'\n"


def test_every_study_that_has_a_name_has_its_scales() -> None:
    assert set(STUDIES) == set(get_args(StudyName))
    for study in STUDIES.values():
        assert set(study.sizes) == set(get_args(Scale))
