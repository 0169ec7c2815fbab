"""Compare: folders of runs -> a table of what differs and of what was found, the best first."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path

from rich.console import Console

from vae_lightning.files import atomic_write, expanded, pointed_to
from vae_lightning.messages import CommandParser
from vae_lightning.sweeps.comparison.comparable import check, remarks
from vae_lightning.sweeps.comparison.options import starts
from vae_lightning.sweeps.comparison.table import Question, Row, as_csv, show, texts
from vae_lightning.sweeps.comparison.trained import Trained, found, higher_is_better

_DESCRIPTION = """\
Put runs beside each other: a row for each, with the options in which they differ and the best value of a figure on
validation, the best run first. Other figures are those of the same step. Runs of different data are refused, and so is
a figure that means something else in each run, as the loss does under different objectives.

  vae-lightning compare runs/sweep
  vae-lightning compare runs/sweep --by val/nelbo --also val/kl --over seed_everything --csv table.csv
  vae-lightning compare runs/version_0 runs/version_1 --by val/log_likelihood
"""


def compare(arguments: Sequence[str]) -> None:
    """`vae-lightning compare ARGUMENTS`; ValueError for runs that cannot be compared, and an output that exists."""
    given = _parser().parse(arguments)
    target = Path(expanded(given.csv)) if given.csv else None
    if target is not None and target.exists() and not given.overwrite:
        raise ValueError(f"{target} exists: give another file, or --overwrite to replace it")
    runs = found(given.runs)
    question = _question(given, runs)
    check(runs, question.figures)
    there, without = _with_figure(runs, question)
    rows = question.rows(there)
    if target is not None:
        with atomic_write(pointed_to(target)) as file:
            file.write(as_csv(rows, question))
    show(texts(rows, question), Console())
    said = [*remarks(there, question.by), *_went_on(there), *_twice(rows, question), *without]
    for line in [*said, *_last_words(rows[0].runs, there)]:
        print(line)


def _question(given: argparse.Namespace, runs: Sequence[Trained]) -> Question:
    by = str(given.by)
    if not given.test and any(name.startswith("test/") for name in (by, *given.also)):
        raise ValueError(
            "figures of the test split are for the run that was chosen on validation: to see those, add --test"
        )
    tested = [f"test/{name.partition('/')[2]}" for name in (by, *given.also)] if given.test else []
    higher = given.mode == "max" if given.mode else higher_is_better(by, runs)
    return Question(by, higher, given.also, [name for name in dict.fromkeys(tested) if name != by], given.over)


def _with_figure(runs: Sequence[Trained], question: Question) -> tuple[list[Trained], list[str]]:
    """The runs that logged the figure, and a line for each that did not; ValueError if none did."""
    there = [run for run in runs if run.best(question.by, question.higher) is not None]
    if not there:
        logged = sorted({name for run in runs for name in run.figures})
        has = f"there are {', '.join(logged)}" if logged else "nothing was logged"
        raise ValueError(f"no run has {question.by}: {has}")
    without = [f"{run.name}: no {question.by}" for run in runs if run not in there]
    return there, [*without, *(f"{run.name}: {run.unfinished}" for run in runs if run.unfinished)]


def _twice(rows: Sequence[Row], question: Question) -> Iterator[str]:
    """Remarks on runs of one row that do not differ in what it is a mean over: they are one run, made twice."""
    for row in rows if question.over else []:
        first: dict[str, Trained] = {}
        for run in row.runs:
            other = first.setdefault(repr([run.options.get(name) for name in question.over]), run)
            if other is not run:
                yield f"{other.name} and {run.name} have the same options, and count as two runs"


def _went_on(runs: Sequence[Trained]) -> list[str]:
    """A line for each time that a run went on with other options than it began with: the table has the last ones."""
    every = [(run, start) for run in runs for start in starts(run.folder)[1:]]
    return [f"{run.name}: from step {start.step} on with {start.changed}" for run, start in every]


def _last_words(best: Sequence[Trained], runs: Sequence[Trained]) -> list[str]:
    """Where the best run is."""
    return [f"best: {best[0].folder}"] if len(best) == 1 and len(runs) > 1 else []


def _parser() -> CommandParser:
    parser = CommandParser(
        "compare",
        _DESCRIPTION,
        usage="vae-lightning compare RUN [RUN ...] [--by FIGURE] [--over OPTION] [--csv FILE]",
    )
    parser.add_argument("runs", nargs="+", metavar="RUN", help="a run's folder, or one with runs below it")
    parser.add_argument("--by", default="val/nelbo", help="the figure to sort by; by default val/nelbo")
    parser.add_argument("--mode", choices=("min", "max"), help="which is better; by default as the figure's name says")
    parser.add_argument("--also", type=_names, default=[], metavar="FIGURES", help="others: val/kl,val/fid")
    parser.add_argument(
        "--over", type=_names, default=[], metavar="OPTIONS", help="means over these, with their errors"
    )
    parser.add_argument("--test", action="store_true", help="show figures of the test split, too, where runs have them")
    parser.add_argument("--csv", metavar="FILE", help="write the table with all digits")
    parser.add_argument("--overwrite", action="store_true", help="replace FILE if it exists")
    return parser


def _names(typed: str) -> list[str]:
    return [name for name in typed.split(",") if name]
