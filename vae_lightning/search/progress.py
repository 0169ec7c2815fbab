"""Progress: batches of documents -> the same, with a line on standard error that counts them."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from vae_lightning.search.writing import Batch


def counted(what: str) -> Callable[[Iterator[Batch]], Iterator[Batch]]:
    """How many documents have been read, of who knows how many."""

    def watch(batches: Iterator[Batch]) -> Iterator[Batch]:
        columns = TextColumn(what), BarColumn(), TextColumn("{task.completed:,.0f} documents"), TimeElapsedColumn()
        with Progress(*columns, console=Console(stderr=True)) as progress:
            task = progress.add_task(what, total=None)
            for batch in batches:
                yield batch
                progress.advance(task, len(batch.names))

    return watch


def told(line: str) -> None:
    """One line on standard error."""
    Console(stderr=True, highlight=False, soft_wrap=True).print(line, markup=False)
