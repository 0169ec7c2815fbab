"""Differences: several runs -> a table of the options that differ between them, with their main figures."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from vae_lightning.reports.description import told
from vae_lightning.reports.figures import lines
from vae_lightning.reports.run import Run, mapping
from vae_lightning.sweeps.comparison.options import differing, leaves

IN_DETAIL = 8
"""Runs that a page shows in detail, and colours that it has for lines."""
_FIGURES = 6


@dataclass(frozen=True)
class Table:
    """A row for each run: its label, the options that differ, and figures with errors. `data` if those differ, too."""

    options: Sequence[str]
    figures: Sequence[str]
    rows: Sequence[tuple[str, Sequence[str], Sequence[str]]]
    data: bool


def differences(runs: Sequence[Run]) -> Table:
    """What differs between runs, in the order of their options."""
    every = [leaves(run.config) for run in runs]
    names = differing(every)
    figures = _columns(runs)
    rows = [
        (
            label,
            [told(options[name]) if name in options else "-" for name in names],
            [_told(run, name) for name in figures],
        )
        for label, run, options in zip(labels(runs), runs, every, strict=True)
    ]
    return Table([_short(name) for name in names], figures, rows, any(name.startswith("data") for name in names))


def labels(runs: Sequence[Run]) -> list[str]:
    """What each run is called among these: the name of its folder, or the whole path where names are equal."""
    names = [run.name for run in runs]
    return names if len(set(names)) == len(names) else [str(run.folder) for run in runs]


def best(runs: Sequence[Run]) -> tuple[list[Run], str]:
    """The runs to show in detail, and the figure by which they were chosen; all of a few, and no figure."""
    if len(runs) <= IN_DETAIL:
        return list(runs), ""
    chosen = mapping(runs[0].config.get("best"))
    monitor, sign = str(chosen.get("monitor") or "val/nelbo"), -1 if chosen.get("mode") == "max" else 1

    def place(run: Run) -> float:
        value = run.figures.get(monitor)
        return math.inf if value is None else sign * value

    return sorted(runs, key=place)[:IN_DETAIL], monitor


def _columns(runs: Sequence[Run]) -> list[str]:
    """The figures that runs have in common, of the test where all were tested; one that has none may have failed."""
    for split in ("test", "val"):
        shown = [{line.name for line in lines(run.figures) if split in line.values} for run in runs]
        if all(shown) or (split == "val" and any(shown)):
            common = set.intersection(*filter(None, shown)) or set.union(*shown)
            return [f"{split}/{line.name}" for line in lines(dict.fromkeys(f"{split}/{n}" for n in common))][:_FIGURES]
    return []


def _told(run: Run, name: str) -> str:
    split, _, figure = name.partition("/")
    found = [line.values[split] for line in lines(run.figures) if line.name == figure and split in line.values]
    return str(found[0]) if found else "-"


def _short(name: str) -> str:
    """An option as a heading: without what all options of a part have in common."""
    return name.removeprefix("model.").removeprefix("trainer.")
