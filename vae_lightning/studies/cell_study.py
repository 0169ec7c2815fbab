"""CellStudy: a study of cells, each run once, here or on a cluster, and kept; a rerun goes on where it was."""

from __future__ import annotations

import abc
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Generic

from lightning.pytorch.loggers import TensorBoardLogger

from vae_lightning.executors import chosen_executor
from vae_lightning.studies.base import Size, Study
from vae_lightning.studies.provenance import CELLS, Settings
from vae_lightning.studies.store import CellStore, CellT, Format, Result


class CellStudy(Study[Size, Mapping[CellT, Result]], Generic[Size, CellT, Result]):
    """A study that finds a result for each of its cells.

    Where the environment names a Ray cluster, in RAY_ADDRESS, its machines share the cells.
    """

    format: Format[Result]
    """How results are kept."""

    @abc.abstractmethod
    def cells(self) -> Sequence[CellT]:
        """All cells, in the order in which they are run."""

    @abc.abstractmethod
    def run(self, cell: CellT, folder: Path) -> Result:
        """Run one cell, perhaps on another machine; its logs and checkpoints go into `folder`."""

    @abc.abstractmethod
    def depends_on(self, cell: CellT) -> Settings:
        """All that a cell's result depends on, beside the code."""

    def find(self, out: Path) -> dict[CellT, Result]:
        """The result of every cell; those that are finished in `out` are not run again."""
        store = CellStore(out / CELLS, self.depends_on, self.format)
        return store.get_or_run(self.cells(), lambda cell: self.run(cell, store.folder_of(cell)), chosen_executor())


def logs(folder: Path) -> TensorBoardLogger:
    """Logs in FOLDER/tensorboard: of a cell that was interrupted and runs again, below one another."""
    return TensorBoardLogger(folder, "tensorboard", version="", default_hp_metric=False)
