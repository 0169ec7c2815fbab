"""Table: runs and figures -> rows of what differs beside what was found, the best first."""

from __future__ import annotations

import csv
import io
import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Column, Table
from rich.text import Text

from vae_lightning.messages import printable
from vae_lightning.sweeps.comparison.options import differing, shown
from vae_lightning.sweeps.comparison.trained import Trained, Value
from vae_lightning.sweeps.grid import short_names


@dataclass(frozen=True)
class Row:
    """One line: which runs, the options in which it differs from others, and a value for each figure."""

    runs: list[Trained]
    options: dict[str, object]
    values: dict[str, Value | None]

    @property
    def name(self) -> str:
        """Of one run its folder's name; of several how many there are."""
        return self.runs[0].name if len(self.runs) == 1 else f"{len(self.runs)} runs"


@dataclass(frozen=True)
class Question:
    """What is asked of runs: the figure they are sorted by, others at its best step, and last values of the test."""

    by: str
    higher: bool
    also: Sequence[str] = ()
    test: Sequence[str] = ()
    over: Sequence[str] = ()

    @property
    def figures(self) -> list[str]:
        """All figures that have a column."""
        return [self.by, *self.also, *self.test]

    def rows(self, runs: Sequence[Trained]) -> list[Row]:
        """A row for each run, or with `over` for those that differ in these options alone; the best first."""
        names = differing([run.options for run in runs])
        if unknown := [name for name in self.over if not any(name in run.options for run in runs)]:
            raise ValueError(f"--over {unknown[0]}: the runs have no such option; they differ in {', '.join(names)}")
        names = [name for name in names if name not in self.over]
        groups: dict[str, list[Trained]] = {}
        for run in runs:
            key = repr([run.options.get(name) for name in names]) if self.over else str(run.folder)
            groups.setdefault(key, []).append(run)
        rows = [
            Row(group, {name: group[0].options.get(name) for name in names}, self._values(group))
            for group in groups.values()
        ]
        return sorted(rows, key=self._place)

    def _values(self, group: Sequence[Trained]) -> dict[str, Value | None]:
        each = [self._of_run(run) for run in group]
        return {name: _mean([one[name] for one in each]) for name in self.figures} if len(group) > 1 else each[0]

    def _of_run(self, run: Trained) -> dict[str, Value | None]:
        best = run.best(self.by, self.higher)
        step = None if best is None else best.step
        others = {name: run.at(name, step) for name in self.also}
        return {self.by: best, **others, **{name: run.last(name) for name in self.test}}

    def _place(self, row: Row) -> float:
        value = row.values[self.by]
        if value is None or math.isnan(value.value):
            return math.inf
        return -value.value if self.higher else value.value


def _mean(values: Sequence[Value | None]) -> Value | None:
    """The mean of the values that runs have, and its standard error."""
    there = [value.value for value in values if value is not None]
    if not there:
        return None
    finite = len(there) > 1 and all(map(math.isfinite, there))
    error = statistics.stdev(there) / math.sqrt(len(there)) if finite else None
    return Value(statistics.mean(there), error)


def texts(rows: Sequence[Row], question: Question) -> list[list[str]]:
    """The lines of the table, the first its heading."""
    short = short_names(list(rows[0].options))
    named = not all("=" in run.name for row in rows for run in row.runs)
    steps = any(value is not None and value.step is not None for value in (row.values[question.by] for row in rows))
    heading = [
        *(["run"] if named else []), *(short[name] for name in rows[0].options), *(["runs"] if question.over else []),
        question.by, *(["step"] if steps else []), *question.figures[1:],
    ]  # fmt: skip
    return [
        [printable(text) for text in line] for line in (heading, *(_line(row, question, named, steps) for row in rows))
    ]


def _line(row: Row, question: Question, named: bool, steps: bool) -> list[str]:
    best, *others = (row.values[name] for name in question.figures)
    step = "" if best is None or best.step is None else str(best.step)
    return [
        *([row.name] if named else []), *(shown(value) for value in row.options.values()),
        *([str(len(row.runs))] if question.over else []), _text(best), *([step] if steps else []), *map(_text, others),
    ]  # fmt: skip


def _text(value: Value | None) -> str:
    if value is None:
        return ""
    return f"{value.value:z.4f}" + ("" if value.error is None else f" ± {value.error:.4f}")


def show(lines: Sequence[Sequence[str]], console: Console) -> None:
    """Print the lines: on a terminal as a table, elsewhere as columns that are as wide as they have to be."""
    heading, *others = lines
    if console.is_terminal:
        table = Table(*(Column(Text(name)) for name in heading), box=SIMPLE_HEAD)
        for line in others:
            table.add_row(*map(Text, line))
        console.print(table)
        return
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for line in lines:
        print("  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)).rstrip())


def as_csv(rows: Sequence[Row], question: Question) -> bytes:
    """The table with the whole names of options, and figures in all their digits, for a program."""
    out = io.StringIO(newline="")
    writer = csv.writer(out, lineterminator="\n")
    columns = [column for name in question.figures for column in (name, f"{name}_error")]
    writer.writerow(["run", *rows[0].options, "runs", "step", *columns])
    for row in rows:
        best = row.values[question.by]
        pairs = [(None, None) if value is None else (value.value, value.error) for value in row.values.values()]
        folder = str(row.runs[0].folder) if len(row.runs) == 1 else ""
        step = None if best is None else best.step
        writer.writerow(
            [folder, *row.options.values(), len(row.runs), step, *(each for pair in pairs for each in pair)]
        )
    return out.getvalue().encode()
