"""Study: a scale and a seed -> a paper's experiment, its figures beside the paper's, its pictures and its logs."""

from __future__ import annotations

import abc
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Generic, TypeVar

from matplotlib.figure import Figure
from rich.console import Console

from vae_lightning.studies.names import Scale
from vae_lightning.studies.pictures import publish
from vae_lightning.studies.provenance import CELLS, Provenance, Settings
from vae_lightning.studies.report import Lines, Report, Row, long

Size = TypeVar("Size")
Found = TypeVar("Found")


class Study(abc.ABC, Generic[Size, Found]):
    """A paper's experiment: how to find what it asks for, and the rows and pictures that are made of what was found.

    `reproduce` does the rest, the same for all studies. One whose parts take hours is a `cells.CellStudy`: each part is
    run once, here or on a cluster, and kept.

    Args:
        scale: how much to compute: one of the study's `sizes`.
        seed: of the data, the initial weights and the order of training.
        size: in place of the scale's, if neither is what is wanted.
    """

    title: str
    """Of the table."""
    sizes: Mapping[Scale, Size]
    """How much is computed at each scale."""
    options: frozenset[str] = frozenset()
    """What its constructor takes of the command's options that are not for all studies."""
    again = "the same command begins the study anew"
    """What there is to say of one that a signal has ended."""

    def __init__(self, scale: Scale, seed: int, size: Size | None = None) -> None:
        self.scale, self.seed = scale, seed
        self.size = self.sizes[scale] if size is None else size

    @abc.abstractmethod
    def find(self, out: Path) -> Found:
        """Compute what the paper computes; logs and checkpoints go into the folder `out`."""

    @abc.abstractmethod
    def rows(self, found: Found) -> list[Row]:
        """Our figures beside the paper's."""

    @abc.abstractmethod
    def pictures(self, found: Found) -> Mapping[str, Figure]:
        """The study's pictures, by the names of their files."""

    @abc.abstractmethod
    def settings(self, found: Found) -> Settings:
        """What a rerun needs, beside the scale."""

    def table(self, rows: Sequence[Row]) -> Lines:
        """The rows as a table: by default one line for each figure."""
        return long(rows)

    def remarks(self, rows: Sequence[Row]) -> list[str]:
        """Paragraphs of Markdown under the table; by default none."""
        return []

    def reproduce(self, out: Path) -> list[Row]:
        """Run the experiment and return its rows; results.json, table.md, pictures and logs go into `out`."""
        out.mkdir(parents=True, exist_ok=True)
        provenance = Provenance(out / CELLS)
        found = self.find(out)
        rows, pictures = self.rows(found), self.pictures(found)
        for name, picture in pictures.items():
            publish(picture, out, name)
        came_about = {"scale": self.scale, **self.settings(found), **provenance.settings()}
        report = Report(self.title, rows, self.table(rows), came_about, self.remarks(rows))
        report.write(out)
        announce(report, out, list(pictures))
        return rows


def announce(report: Report, out: Path, pictures: Sequence[str]) -> None:
    """Print the table, and where everything is."""
    console = Console()
    report.print(console)
    for what, where in (
        *(("picture", out / f"{name}.png") for name in pictures),
        ("table", out / "table.md"),
        ("figures", out / "results.json"),
        ("logs", f"tensorboard --logdir {shlex.quote(str(out))}"),
    ):
        console.print(f"{what}: {where}", soft_wrap=True, markup=False)
