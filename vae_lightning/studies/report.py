"""Report: the rows of a study -> results.json, table.md and a table on the terminal."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.style import Style
from rich.table import Table
from rich.text import Text

from vae_lightning.files import atomic_write
from vae_lightning.studies.provenance import Settings


@dataclass(frozen=True)
class Row:
    """One figure of a study beside the `paper`'s, where it has one; `stderr` is 0 for exact ones, None if unknown."""

    cell: str
    metric: str
    value: float
    stderr: float | None
    paper: float | None
    unit: str


Lines = list[list[str]]
"""The texts of a table, line by line; the first is its heading."""


def long(rows: Sequence[Row]) -> Lines:
    """One line for each figure, ours beside the paper's."""
    papers = ["" if row.paper is None else _decimals(row.paper) for row in rows]
    lines = [
        [row.cell, row.metric.replace("_", " "), _text(row), paper, row.unit]
        for row, paper in zip(rows, papers, strict=True)
    ]
    return [["what", "figure", "ours", "paper", "unit"], *lines]


def wide(rows: Sequence[Row], decimals: int = 2) -> Lines:
    """One line for each cell, one column for each figure, with its unit."""
    units = {row.metric: row.unit for row in rows}
    lines = {row.cell: dict.fromkeys(units, "") for row in rows}
    for row in rows:
        lines[row.cell][row.metric] = _text(row, decimals)
    heading = [f"{metric.replace('_', ' ')} ({unit})" for metric, unit in units.items()]
    return [["what", *heading], *([cell, *texts.values()] for cell, texts in lines.items())]


@dataclass(frozen=True)
class Report:
    """What a study found, as a table, and how. `remarks` are paragraphs of Markdown that stand under it in table.md."""

    title: str
    rows: Sequence[Row]
    lines: Lines
    provenance: Settings
    remarks: Sequence[str] = ()

    def write(self, out: Path) -> None:
        """Write results.json, where null stands for what is not finite, and table.md into a folder."""
        rows = json.dumps([_finite(asdict(row)) for row in self.rows], indent=1, allow_nan=False) + "\n"
        for name, text in (("results.json", rows), ("table.md", self.markdown())):
            with atomic_write(out / name) as file:
                file.write(text.encode())

    def markdown(self) -> str:
        """The table, under it how it came about, and the remarks."""
        origin = "\n".join(f"- {name}: {value}" for name, value in self.provenance.items())
        return "\n\n".join([f"# {self.title}", markdown_table(self.lines), origin, *self.remarks]) + "\n"

    def print(self, console: Console) -> None:
        """The table for a person."""
        heading, *lines = self.lines
        table = Table(title=self.title, caption=", ".join(f"{k} {v}" for k, v in self.provenance.items()))
        for number, column in enumerate(heading):
            shown = [styled(line[number]).plain for line in lines]
            numeric = number > 0 and any(text[:1] in "-0123456789" for text in shown if text)
            table.add_column(column, justify="right" if numeric else "left")
        for line in lines:
            table.add_row(*map(styled, line))
        console.print(table)


def styled(text: str) -> Text:
    """A text of a table as a terminal shows it: of Markdown, **bold** and <ins>underlined</ins>."""
    shown, bold, underlined = Text(), False, False
    for part in re.split(r"(\*\*|</?ins>)", text):
        bold ^= part == "**"
        underlined = part == "<ins>" or (underlined and part != "</ins>")
        if part not in ("**", "<ins>", "</ins>"):
            shown.append(part, Style(bold=bold or None, underline=underlined or None))
    return shown


def markdown_table(lines: Lines) -> str:
    """The table in Markdown."""
    heading, *others = lines
    return "\n".join(f"| {' | '.join(texts)} |" for texts in (heading, ["---"] * len(heading), *others))


def _finite(values: Mapping[str, Any]) -> dict[str, Any]:
    """The values, None for those that JSON has no number for."""
    return {name: None if isinstance(v, float) and not math.isfinite(v) else v for name, v in values.items()}


def _text(row: Row, decimals: int = 4) -> str:
    return f"{row.value:z.{decimals}f}" + (f" ± {row.stderr:.{decimals}f}" if row.stderr else "")


def _decimals(value: float) -> str:
    """The number as the paper gives it, with at least two decimals."""
    decimals = len(repr(value).partition(".")[2])
    return f"{value:.{max(2, decimals)}f}"
