"""CellStore: cells and how to run one -> their results, each run once and kept in a folder of its own."""

from __future__ import annotations

import abc
import json
from collections.abc import Callable, Hashable, Iterable, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Generic, Protocol, TypeVar, runtime_checkable

from lightning.pytorch.utilities import rank_zero_warn
from rich.progress import Progress

from vae_lightning.callbacks.run.about import environment
from vae_lightning.executors import Executor
from vae_lightning.files import atomic_write, locked
from vae_lightning.studies.provenance import FIGURES, Settings, kept

Figures = dict[str, float]
"""Numbers by name."""


@runtime_checkable
class Cell(Hashable, Protocol):
    """A part of a study that is run by itself."""

    @property
    def name(self) -> str:
        """What a person calls it."""

    @property
    def path(self) -> str:
        """The path of its folder, below that of all cells."""


CellT = TypeVar("CellT", bound=Cell)
Result = TypeVar("Result")


class Format(abc.ABC, Generic[Result]):
    """How a cell's result is kept: figures as JSON, anything else in files of its own beside them."""

    @abc.abstractmethod
    def write(self, result: Result, folder: Path) -> object:
        """The figures, as JSON; what is not JSON is written into the folder."""

    @abc.abstractmethod
    def read(self, figures: object, folder: Path) -> Result:
        """The result that `write` was given; ValueError if what is there is damaged."""


class Plain(Format[Figures]):
    """Keeps a result that is figures and nothing else."""

    def write(self, result: Figures, folder: Path) -> Figures:
        """The figures."""
        return result

    def read(self, figures: object, folder: Path) -> Figures:
        """The figures."""
        return as_figures(figures)


def as_figures(content: object) -> Figures:
    """The content as figures; ValueError for anything else."""
    if isinstance(content, dict) and all(type(value) in (int, float) for value in content.values()):
        with suppress(OverflowError):  # a whole number beyond all floats
            return {name: float(value) for name, value in content.items()}
    raise ValueError(f"expected numbers by name, got {str(content)[:80]}")


class CellStore(Generic[CellT, Result]):
    """The results of cells, in a folder. One that is damaged, or was run with other settings, counts as missing.

    A result appears whole or not at all, so a study that was interrupted goes on with the cells it was in.

    Args:
        folder: of all cells.
        settings: what a cell's result depends on.
        format: how a result is kept.
    """

    def __init__(self, folder: Path, settings: Callable[[CellT], Settings], format: Format[Result]) -> None:
        self.folder, self.settings, self.format = folder, settings, format

    def folder_of(self, cell: CellT) -> Path:
        """Where a cell keeps its result, its logs and its checkpoints."""
        return self.folder / cell.path

    def get_or_run(
        self, cells: Iterable[CellT], run: Callable[[CellT, Path], Result], executor: Executor
    ) -> dict[CellT, Result]:
        """The result of every cell: read where it is kept, else run in its folder, and kept as soon as it is done.

        The executor runs it. One that another process is just running is waited for, and not run again.
        """
        found = {cell: self.read(cell) for cell in cells}
        missing = [cell for cell, result in found.items() if result is None]
        if others := [cell.name for cell in missing if kept(self.folder_of(cell) / FIGURES)]:
            rank_zero_warn(
                f"{self.folder} has cells of other settings, or damaged ones ({len(others)}, such as {others[0]}): "
                "they are run again, and their results are replaced; to keep those, give another folder"
            )
        with Progress(disable=not missing) as progress:
            task = progress.add_task("", total=len(found), completed=len(found) - len(missing))

            def named() -> Iterator[CellT]:
                for cell in missing:
                    progress.update(task, description=cell.name)
                    yield cell

            for cell, result in executor.each(partial(self._run_alone, run=run), named()):
                # a machine whose disk is another has kept it there
                found[cell] = self.write(cell, result) if self.read(cell) is None else result
                progress.advance(task)
        return {cell: result for cell, result in found.items() if result is not None}

    def read(self, cell: CellT) -> Result | None:
        """The result of a cell, if there is one of these settings."""
        folder = self.folder_of(cell)
        content = kept(folder / FIGURES)
        if content.get("settings") != dict(self.settings(cell)):
            return None
        try:
            return self.format.read(content.get("figures"), folder)
        except ValueError:  # damaged: as good as missing
            return None

    def write(self, cell: CellT, result: Result) -> Result:
        """Keep a cell's result, with the commit it is of, and let go of what its training went on from; return it."""
        folder = self.folder_of(cell)
        (folder / FIGURES).unlink(missing_ok=True)  # of other settings: killed now, they would have this result's files
        figures = self.format.write(result, folder)
        commit = environment().get("commit", "unknown")
        content = {"settings": dict(self.settings(cell)), "figures": figures, "commit": commit}
        with atomic_write(folder / FIGURES) as file:
            file.write((json.dumps(content, indent=1) + "\n").encode())
        for left in folder.glob("training-*/checkpoints/last.ckpt"):
            left.unlink()
        return result

    def _run_alone(self, cell: CellT, run: Callable[[CellT, Path], Result]) -> Result:
        """Run a cell in its folder and keep its result, unless another process is just doing so, or has."""
        folder = self.folder_of(cell)
        with locked(folder / FIGURES):
            kept = self.read(cell)
            return self.write(cell, run(cell, folder)) if kept is None else kept
