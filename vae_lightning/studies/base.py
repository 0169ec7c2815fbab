"""Report: the rows of a study -> results.json, table.md and a table on the terminal, ours beside the paper's."""

from __future__ import annotations

import json
import platform
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from rich.console import Console
from rich.table import Table

import vae_lightning


@dataclass(frozen=True)
class Row:
    """One figure of a study: `value` beside the `paper`'s, where it has one; `stderr` is 0 for exact figures."""

    cell: str
    metric: str
    value: float
    stderr: float
    paper: float | None
    unit: str


COLUMNS = ("what", "figure", "ours", "paper", "unit")


@dataclass(frozen=True)
class Report:
    """What a study found, and how: `provenance` names scale, seed, steps and whatever else a rerun needs."""

    title: str
    rows: Sequence[Row]
    provenance: Mapping[str, str | int | float]

    def write(self, out: Path) -> None:
        """Write results.json and table.md into a folder that exists."""
        (out / "results.json").write_text(json.dumps([asdict(row) for row in self.rows], indent=1) + "\n")
        (out / "table.md").write_text(self.markdown())

    def markdown(self) -> str:
        """The table, and under it how it came about."""
        lines = [
            f"# {self.title}",
            "",
            _line(COLUMNS),
            _line(["---"] * len(COLUMNS)),
            *map(_line, map(_texts, self.rows)),
        ]
        return "\n".join([*lines, "", *(f"- {name}: {value}" for name, value in self.provenance.items()), ""])

    def print(self, console: Console) -> None:
        """The table for a person."""
        table = Table(title=self.title, caption=", ".join(f"{k} {v}" for k, v in self.provenance.items()))
        for column in COLUMNS:
            table.add_column(column, justify="right" if column in ("ours", "paper") else "left")
        for row in self.rows:
            table.add_row(*_texts(row))
        console.print(table)


def environment() -> dict[str, str]:
    """The version, the commit if this is a checkout, and the machine: what a figure's provenance must name."""
    commit = _commit()
    return {
        "version": vae_lightning.__version__,
        **({"commit": commit} if commit else {}),
        "torch": torch.__version__,
        "machine": f"{platform.machine()} CPU, {torch.get_num_threads()} threads",
    }


def _texts(row: Row) -> list[str]:
    error = f" ± {row.stderr:.4f}" if row.stderr else ""
    return [
        row.cell,
        row.metric.replace("_", " "),
        f"{row.value:.4f}{error}",
        "" if row.paper is None else _at_least_two_decimals(row.paper),
        row.unit,
    ]


def _at_least_two_decimals(value: float) -> str:
    decimals = len(repr(value).partition(".")[2])
    return f"{value:.{max(2, decimals)}f}"


def _line(cells: Sequence[str]) -> str:
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
