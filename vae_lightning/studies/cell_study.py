"""CellStudy: a study of cells, each run once, here or on a cluster, and kept; a rerun goes on where it was."""

from __future__ import annotations

import abc
from collections.abc import Mapping, Sequence
from itertools import accumulate, chain
from pathlib import Path
from typing import Generic

from lightning.pytorch.loggers import TensorBoardLogger

from vae_lightning.executors import chosen_executor
from vae_lightning.messages import did_you_mean
from vae_lightning.studies.base import Size, Study
from vae_lightning.studies.names import Scale
from vae_lightning.studies.provenance import CELLS, Settings
from vae_lightning.studies.report import Row
from vae_lightning.studies.store import CellStore, CellT, Format, Result


class CellStudy(Study[Size, Mapping[CellT, Result]], Generic[Size, CellT, Result]):
    """A study that finds a result for each of its cells.

    Where the environment names a Ray cluster, in RAY_ADDRESS, its machines share the cells. So do commands that run at
    once in one folder: a cell that one of them is at is waited for by the others, and not run again.

    Args:
        scale, seed, size: as of any study.
        only: the folder of a cell, or of several: run these and no other.
    """

    options = frozenset({"only"})
    again = "go on with the same command: what the study has finished is kept"
    format: Format[Result]
    """How results are kept."""

    def __init__(self, scale: Scale, seed: int, size: Size | None = None, only: str | None = None) -> None:
        super().__init__(scale, seed, size)
        self.only = only

    @abc.abstractmethod
    def all_cells(self) -> Sequence[CellT]:
        """All cells, in the order in which they are run."""

    @abc.abstractmethod
    def run(self, cell: CellT, folder: Path) -> Result:
        """Run one cell, perhaps on another machine; its logs and checkpoints go into `folder`."""

    @abc.abstractmethod
    def depends_on(self, cell: CellT) -> Settings:
        """All that a cell's result depends on, beside the code."""

    def cells(self) -> Sequence[CellT]:
        """Those that are run; ValueError if there is nothing in the folder that is asked for."""
        return self.all_cells() if self.only is None else within(self.all_cells(), self.only)

    def reproduce(self, out: Path) -> list[Row]:
        """As any study's; a folder that no cell has is refused before anything is written."""
        self.cells()
        return super().reproduce(out)

    def find(self, out: Path) -> dict[CellT, Result]:
        """The result of every cell; those that are finished in `out` are not run again."""
        store = CellStore(out / CELLS, self.depends_on, self.format)
        return store.get_or_run(self.cells(), self.run, chosen_executor())


def within(cells: Sequence[CellT], folder: str) -> list[CellT]:
    """Those whose folder this is, or is below it; ValueError if there are none."""
    wanted = folder.strip("/").split("/")
    if found := [cell for cell in cells if cell.path.split("/")[: len(wanted)] == wanted]:
        return found
    folders = [list(accumulate(cell.path.split("/"), "{}/{}".format)) for cell in cells]
    raise ValueError(
        f"there is no cell {folder!r}{did_you_mean(folder, chain(*folders))}; --only takes the folder of one, or of "
        f"several, such as {' or '.join(folders[0])}"
    )


def logs(folder: Path) -> TensorBoardLogger:
    """Logs in FOLDER/tensorboard: of a cell that was interrupted and runs again, below one another."""
    return TensorBoardLogger(folder, "tensorboard", version="", default_hp_metric=False)
