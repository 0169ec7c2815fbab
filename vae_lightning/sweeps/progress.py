"""Progress: runs that end -> a line each on standard error, and a bar where that is a terminal."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from types import TracebackType
from typing import TypeVar

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from vae_lightning.sweeps.running import Outcome, Task, figure

TaskT = TypeVar("TaskT", bound=Task)


class Told:
    """Tells of each run that ends. It has no thread of its own, which the processes that are forked would not have."""

    def __init__(self, total: int, done: int, by: str) -> None:
        self.total, self.done, self.by = total, done, by
        self.console = Console(stderr=True, soft_wrap=True, highlight=False)
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        self.bar = Progress(*columns, console=self.console, auto_refresh=False, disable=not self.console.is_terminal)
        self.task = self.bar.add_task("runs", total=total, completed=done)

    def __enter__(self) -> Told:
        self.bar.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.bar.stop()

    def each(self, results: Iterable[tuple[TaskT, Outcome]]) -> Iterator[tuple[TaskT, Outcome]]:
        """Pass the results on, and tell of each as it comes."""
        for task, outcome in results:
            self.ended(task, outcome)
            yield task, outcome

    def ended(self, task: Task, outcome: Outcome) -> None:
        """Print the line of a run that has ended."""
        self.done += 1
        value = figure(task.folder, self.by)
        found = {"failed": f"failed: {outcome.error}", "pruned": "pruned"}.get(
            outcome.state, "finished" if value is None else f"{self.by} {value:.4f}"
        )
        self.say(f"{self.done}/{self.total} {task.run.name}: {found} ({outcome.seconds:.0f} s)")
        self.bar.update(self.task, completed=self.done, refresh=True)

    def say(self, line: str) -> None:
        """Print any other line."""
        self.console.print(line, markup=False)
