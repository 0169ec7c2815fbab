"""Every: studies and a folder -> each reproduced in a folder of its own, and told in a line; which of them failed."""

from __future__ import annotations

import sys
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from vae_lightning.executors import Forked
from vae_lightning.messages import in_one_line
from vae_lightning.process import ready_to_train
from vae_lightning.process.output import printing_to
from vae_lightning.signals import Interrupted, signals
from vae_lightning.studies.base import Study

OUTPUT = "output.txt"
"""What a study has printed, in its folder."""


@dataclass(frozen=True)
class Task:
    """A study, its folder, and how it is made: in its own process, for what it asks for may not be there."""

    name: str
    folder: Path
    make: Callable[[], Study[Any, Any]]


@dataclass(frozen=True)
class Outcome:
    """The seconds that a study took; of one that failed the error, in one line."""

    seconds: float
    error: str = ""


def reproduce_every(tasks: Sequence[Task]) -> None:
    """Reproduce one after another, each in a child of this process, so that none finds what another left there.

    Each that ends is a line on standard error, and all are a table at the end; SystemExit with status 1 if one failed.
    A folder that cannot be made is an OSError before the first begins.
    """
    for task in tasks:
        task.folder.mkdir(parents=True, exist_ok=True)
    try:
        outcomes = _told(tasks)
    except Interrupted as error:
        error.add_note("go on with the same command: what a study has finished is kept")
        raise
    print(summary(outcomes))
    if failed := [task.name for task, outcome in outcomes if outcome.error]:
        print(
            f"vae-lightning: {len(failed)} of {len(tasks)} studies failed: {', '.join(failed)}; to try them again,"
            " give the same command: what a study has finished is kept",
            file=sys.stderr,
        )
        raise SystemExit(1)


def reproduced(task: Task) -> Outcome:
    """Reproduce one in this process; what it prints goes into output.txt. An error is the outcome."""
    began, error = time.monotonic(), ""
    with printing_to(task.folder / OUTPUT), signals.handling():
        try:
            ready_to_train()
            task.make().reproduce(task.folder)
            signals.answer()
        except Exception as raised:  # whatever it is: the other studies are reproduced, too
            traceback.print_exc()
            error = f"{type(raised).__name__}: {in_one_line(str(raised))}"
    return Outcome(time.monotonic() - began, error)


def summary(outcomes: Sequence[tuple[Task, Outcome]]) -> str:
    """A line for each: the study, its minutes, and where its table lies; of one that failed, what it printed."""
    width = max(len("study"), *(len(task.name) for task, _ in outcomes))
    lines = [f"{'study':{width}}  minutes  table"]
    for task, outcome in outcomes:
        where = f"none, see {task.folder / OUTPUT}" if outcome.error else f"{task.folder / 'table.md'}"
        lines.append(f"{task.name:{width}}  {outcome.seconds / 60:7.1f}  {where}")
    return "\n".join(lines)


def _told(tasks: Sequence[Task]) -> list[tuple[Task, Outcome]]:
    """Each with its outcome; where standard error is a terminal, a bar names the one that is at work."""
    console = Console(stderr=True, soft_wrap=True, highlight=False)
    columns = (BarColumn(), MofNCompleteColumn(), TextColumn("{task.description}"))
    # without a thread of its own, which the processes that are forked would not have
    bar = Progress(*columns, console=console, auto_refresh=False, disable=not console.is_terminal)
    shown, outcomes = bar.add_task("", total=len(tasks)), []

    def named() -> Iterator[Task]:
        for task in tasks:
            bar.update(shown, description=f"{task.name}, which prints into {task.folder / OUTPUT}", refresh=True)
            yield task

    with bar, closing(Forked().each(reproduced, named(), _lost)) as results:
        for number, (task, outcome) in enumerate(results, 1):
            found = f"failed: {outcome.error}" if outcome.error else f"{task.folder / 'table.md'}"
            line = f"{number}/{len(tasks)} {task.name}: {found} ({outcome.seconds / 60:.1f} minutes)"
            console.print(line, markup=False)
            bar.update(shown, completed=number, refresh=True)
            outcomes.append((task, outcome))
    return outcomes


def _lost(task: Task, reason: str) -> Outcome:
    """One whose process has ended: it goes on with its next part when it is tried again."""
    return Outcome(0.0, reason)
