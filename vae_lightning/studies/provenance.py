"""The folder of a study's cells -> how its figures came about: version, commits, machine and seconds."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from pathlib import Path

from vae_lightning.callbacks.run.about import environment

Settings = Mapping[str, str | int | float]
"""What figures depend on, by name."""

CELLS, FIGURES = "cells", "figures.json"
"""The folder of a study's cells, and the file in a cell's own with its figures and the commit they are of."""


class Provenance:
    """How a study's figures came about; made when it begins, and asked when all is found."""

    def __init__(self, cells: Path) -> None:
        self.cells, self.began, self.goes_on = cells, time.perf_counter(), bool(commits(cells))

    def settings(self) -> Settings:
        """The version, the commits, the machine, and the seconds since the study began, or went on."""
        found: dict[str, str | int | float] = dict(environment())
        if of_cells := commits(self.cells):
            found["commit"] = of_cells
        found["seconds since it went on" if self.goes_on else "seconds"] = round(time.perf_counter() - self.began)
        return found


def commits(folder: Path) -> str:
    """The commits that the cells below a folder were run at: a study that goes on may be of several."""
    found = [kept(path) for path in folder.rglob(FIGURES)]
    return ", ".join(sorted({str(cell.get("commit", "unknown")) for cell in found if cell}))


def kept(target: Path) -> dict[str, object]:
    """What a cell's file holds: nothing, if it is missing or damaged, for then the cell is run again."""
    try:
        found = json.loads(target.read_bytes())
    except (OSError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}
