"""Cells: the parts of a study, each run once; what is finished is read when the study is started again."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from vae_lightning.files import atomic_write
from vae_lightning.studies.base import environment

Settings = Mapping[str, str | int | float]
Figures = dict[str, float]

FILE = "figures.json"


def finished(folder: Path, settings: Settings, run: Callable[[], Figures]) -> Figures:
    """The figures of a cell: those in `folder`, if it was run with these settings, else what `run` returns, kept there.

    The file appears whole or not at all, so a study that was interrupted goes on with the cell it was in.
    """
    figures = kept(folder, settings)
    return keep(folder, settings, run()) if figures is None else figures


def kept(folder: Path, settings: Settings) -> Figures | None:
    """The figures in `folder`, if they are of these settings."""
    found = _read(folder / FILE)
    figures = found.get("figures")
    if found.get("settings") != dict(settings) or not isinstance(figures, dict):
        return None
    return figures if all(isinstance(value, int | float) for value in figures.values()) else None


def keep(folder: Path, settings: Settings, figures: Figures) -> Figures:
    """Write the figures of these settings, whole or not at all, with the commit they are of; return them."""
    content = {"settings": dict(settings), "figures": figures, "commit": environment().get("commit", "unknown")}
    with atomic_write(folder / FILE) as file:
        file.write((json.dumps(content, indent=1) + "\n").encode())
    return figures


class Account:
    """How a study came about that keeps its cells in a folder; begun with it, and asked when all cells are finished."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.began, self.goes_on = folder, time.perf_counter(), bool(commits(folder))

    def provenance(self) -> dict[str, str | int | float]:
        """The machine, the commits of the cells, and the seconds since the study began, or went on."""
        found: dict[str, str | int | float] = {**environment(), "commit": commits(self.folder)}
        found["seconds since it went on" if self.goes_on else "seconds"] = round(time.perf_counter() - self.began)
        return found


def commits(folder: Path) -> str:
    """The commits that the cells below a folder were run at: a study that goes on may be of several."""
    found = [_read(path) for path in folder.rglob(FILE)]
    return ", ".join(sorted({str(cell.get("commit", "unknown")) for cell in found if cell}))


def _read(target: Path) -> dict[str, Any]:
    """What a cell's file holds: nothing, if it is missing or damaged, for then the cell is run again."""
    try:
        found = json.loads(target.read_bytes())
    except (OSError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}
