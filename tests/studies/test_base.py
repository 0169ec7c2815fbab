"""Study: what a study says of itself, and what the base makes of it; the smallest one there can be."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

import pytest
from matplotlib.figure import Figure

from vae_lightning.studies.catalogue import STUDIES
from vae_lightning.studies.cell_study import CellStudy
from vae_lightning.studies.names import Scale, StudyName
from vae_lightning.studies.provenance import Settings
from vae_lightning.studies.report import Row
from vae_lightning.studies.store import Figures, Plain


@dataclass(frozen=True)
class Power:
    """A cell: 2^n."""

    n: int

    @property
    def name(self) -> str:
        return f"n = {self.n}"

    @property
    def path(self) -> str:
        return f"power-{self.n}"


SIZES: dict[Scale, int] = {"quick": 2, "medium": 3, "full": 4}


class Powers(CellStudy[int, Power, Figures]):
    """Two to the power of every number below the size."""

    title = "Powers of two"
    sizes = SIZES
    format = Plain()
    breaks_at = -1

    def cells(self) -> list[Power]:
        return [Power(n) for n in range(self.size)]

    def depends_on(self, cell: Power) -> Settings:
        return {"seed": self.seed}

    def run(self, cell: Power, folder: Path) -> Figures:
        if cell.n == self.breaks_at:
            raise KeyboardInterrupt
        return {"power": 2.0**cell.n}

    def rows(self, found: Mapping[Power, Figures]) -> list[Row]:
        return [Row(cell.name, "power", figures["power"], 0.0, None, "ones") for cell, figures in found.items()]

    def pictures(self, found: Mapping[Power, Figures]) -> dict[str, Figure]:
        picture = Figure()
        picture.add_subplot().plot([cell.n for cell in found], [figures["power"] for figures in found.values()])
        return {"powers": picture}

    def settings(self, found: Mapping[Power, Figures]) -> Settings:
        return {"base": 2}

    def remarks(self, rows: list[Row]) -> list[str]:
        return [f"There are {len(rows)}."]


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


def test_an_interrupted_study_goes_on_and_ends_with_the_same_rows(tmp_path: Path) -> None:
    study = Powers("full", seed=0)
    study.breaks_at = 2
    with pytest.raises(KeyboardInterrupt):
        study.reproduce(tmp_path)
    assert {path.parent.name for path in tmp_path.rglob("figures.json")} == {"power-0", "power-1"}
    study.breaks_at = 1  # which is finished, and must not run again
    assert study.reproduce(tmp_path) == Powers("full", seed=0).reproduce(tmp_path / "whole")
    assert "- seconds since it went on: " in (tmp_path / "table.md").read_text()


def test_every_study_that_has_a_name_has_its_scales() -> None:
    assert set(STUDIES) == set(get_args(StudyName))
    for study in STUDIES.values():
        assert set(study.sizes) == set(get_args(Scale))
