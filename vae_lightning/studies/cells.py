"""Cells: the parts of a study, each run once; what is finished is read when the study is started again."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path

from vae_lightning.studies.base import environment

Settings = Mapping[str, str | int | float]
Figures = dict[str, float]


def finished(folder: Path, settings: Settings, run: Callable[[], Figures]) -> Figures:
    """The figures of a cell: those in `folder`, if it was run with these settings, else what `run` returns, kept there.

    The file appears whole or not at all, so a study that was interrupted goes on with the cell it was in.
    """
    target = folder / "figures.json"
    if target.is_file():
        kept = json.loads(target.read_text())
        if kept["settings"] == dict(settings):
            return kept["figures"]
    figures = run()
    folder.mkdir(parents=True, exist_ok=True)
    part = target.with_suffix(".part")
    kept = {"settings": dict(settings), "figures": figures, "commit": environment().get("commit", "unknown")}
    part.write_text(json.dumps(kept, indent=1) + "\n")
    part.replace(target)
    return figures


def commits(folder: Path) -> str:
    """The commits that the cells below a folder were run at: a study that goes on may be of several."""
    found = {json.loads(path.read_text()).get("commit", "unknown") for path in folder.rglob("figures.json")}
    return ", ".join(sorted(found))
