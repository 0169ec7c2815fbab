"""Repeats: cells and seeds -> each cell under every seed, and figures as means over the seeds with their error."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic

from vae_lightning.studies.store import CellT, Figures, Result


@dataclass(frozen=True)
class Repeat(Generic[CellT]):
    """A cell under one of a study's seeds."""

    cell: CellT
    seed: int

    @property
    def name(self) -> str:
        """Such as "IWAE, K = 5, seed 0"."""
        return f"{self.cell.name}, seed {self.seed}"

    @property
    def path(self) -> str:
        """A folder below the cell's own."""
        return f"{self.cell.path}/seed-{self.seed}"


def repeats(cells: Sequence[CellT], seeds: Iterable[int]) -> list[Repeat[CellT]]:
    """All cells under the first seed, then under the next."""
    return [Repeat(cell, seed) for seed in seeds for cell in cells]


def by_cell(results: Mapping[Repeat[CellT], Result]) -> dict[CellT, list[Result]]:
    """The results of each cell, one for each seed."""
    found: dict[CellT, list[Result]] = {}
    for repeat, result in results.items():
        found.setdefault(repeat.cell, []).append(result)
    return found


def seeds_of(results: Iterable[Repeat[CellT]]) -> str:
    """The seeds that results are of, which are not all of a study's where some of its cells are run alone."""
    return ", ".join(map(str, sorted({repeat.seed for repeat in results})))


def mean(runs: Sequence[Figures], name: str) -> float:
    """The mean of a figure over runs."""
    return statistics.mean(run[name] for run in runs)


def error(runs: Sequence[Figures], name: str) -> float | None:
    """The standard error of that mean; of a single run, the error that it has of its own, `NAME_error`, if any.

    None if the figure of some run is not finite: there is no such error.
    """
    if len(runs) == 1:
        return runs[0].get(f"{name}_error")
    values = [run[name] for run in runs]
    return statistics.stdev(values) / math.sqrt(len(values)) if all(map(math.isfinite, values)) else None
