"""Report: the rows of a study -> results.json, table.md and a table on the terminal."""

from __future__ import annotations

import json
import platform
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from rich.console import Console
from rich.table import Table

import vae_lightning


@dataclass(frozen=True)
class Row:
    """One figure of a study beside the `paper`'s, where it has one; `stderr` is 0 for exact ones, None if unknown."""

    cell: str
    metric: str
    value: float
    stderr: float | None
    paper: float | None
    unit: str


Cells = list[list[str]]
"""Texts of a table, the first row its heading."""


def long(rows: Sequence[Row]) -> Cells:
    """One line for each figure, ours beside the paper's."""
    papers = ["" if row.paper is None else _decimals(row.paper) for row in rows]
    lines = [
        [row.cell, row.metric.replace("_", " "), _text(row), paper, row.unit]
        for row, paper in zip(rows, papers, strict=True)
    ]
    return [["what", "figure", "ours", "paper", "unit"], *lines]


def wide(rows: Sequence[Row], decimals: int = 2) -> Cells:
    """One line for each cell, one column for each figure, with its unit."""
    units = {row.metric: row.unit for row in rows}
    lines = {row.cell: dict.fromkeys(units, "") for row in rows}
    for row in rows:
        lines[row.cell][row.metric] = _text(row, decimals)
    heading = [f"{metric.replace('_', ' ')} ({unit})" for metric, unit in units.items()]
    return [["what", *heading], *([cell, *texts.values()] for cell, texts in lines.items())]


@dataclass(frozen=True)
class Report:
    """What a study found, and how: `provenance` names scale, seed, steps and whatever else a rerun needs."""

    title: str
    rows: Sequence[Row]
    provenance: Mapping[str, str | int | float]
    layout: Callable[[Sequence[Row]], Cells] = long

    def write(self, out: Path) -> None:
        """Write results.json and table.md into a folder that exists."""
        (out / "results.json").write_text(json.dumps([asdict(row) for row in self.rows], indent=1) + "\n")
        (out / "table.md").write_text(self.markdown())

    def markdown(self) -> str:
        """The table, and under it how it came about."""
        heading, *lines = self.layout(self.rows)
        rule = ["---"] * len(heading)
        table = [line(texts) for texts in (heading, rule, *lines)]
        return "\n".join(
            [f"# {self.title}", "", *table, "", *(f"- {name}: {value}" for name, value in self.provenance.items()), ""]
        )

    def print(self, console: Console) -> None:
        """The table for a person."""
        heading, *lines = self.layout(self.rows)
        table = Table(title=self.title, caption=", ".join(f"{k} {v}" for k, v in self.provenance.items()))
        for number, column in enumerate(heading):
            numeric = number > 0 and any(line[number][:1] in "-0123456789" for line in lines if line[number])
            table.add_column(column, justify="right" if numeric else "left")
        for line in lines:
            table.add_row(*line)
        console.print(table)


def announce(report: Report, out: Path, picture: str) -> None:
    """Print the table and where everything is."""
    console = Console()
    report.print(console)
    for what, where in (
        ("picture", out / picture),
        ("table", out / "table.md"),
        ("figures", out / "results.json"),
        ("logs", f"tensorboard --logdir {out}"),
    ):
        console.print(f"{what}: {where}", soft_wrap=True)


def environment() -> dict[str, str]:
    """The version, the commit if this is a checkout, and the machine: what a figure's provenance must name."""
    commit = _commit()
    return {
        "version": vae_lightning.__version__,
        **({"commit": commit} if commit else {}),
        "torch": torch.__version__,
        "machine": f"{platform.machine()} CPU, {torch.get_num_threads()} threads",
    }


def _text(row: Row, decimals: int = 4) -> str:
    return f"{row.value:.{decimals}f}" + (f" ± {row.stderr:.{decimals}f}" if row.stderr else "")


def _decimals(value: float) -> str:
    """As the paper gives it, with two decimals at least."""
    decimals = len(repr(value).partition(".")[2])
    return f"{value:.{max(2, decimals)}f}"


def line(cells: Sequence[str]) -> str:
    """Of a table in Markdown."""
    return f"| {' | '.join(cells)} |"


def _commit() -> str | None:
    """The commit of the checkout this package is in, marked if changed; None for an installed copy or without git."""
    package = Path(vae_lightning.__file__)

    def git(*arguments: str) -> str:
        command = ["git", "-C", str(package.parent), *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    try:
        git("ls-files", "--error-unmatch", package.name)  # a copy installed inside somebody else's checkout is not it
        return git("describe", "--always", "--dirty", "--exclude=*")
    except (OSError, subprocess.CalledProcessError):
        return None
