"""A cell of Table 2 -> its model trained, its best epoch chosen by validation, and both splits judged: figures."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import lightning.pytorch as pl

from vae_lightning.callbacks import HammingPrecision
from vae_lightning.counts import Counts
from vae_lightning.data import Newsgroups
from vae_lightning.data.base import InMemoryDataModule
from vae_lightning.models.reproducible import ReproducibleModule
from vae_lightning.studies.cell_study import logs
from vae_lightning.studies.newsgroups.cell import Cell
from vae_lightning.studies.newsgroups.on_training import OnTraining
from vae_lightning.studies.newsgroups.size import NewsgroupsSize
from vae_lightning.studies.newsgroups.tested import LeastTestDeviance
from vae_lightning.studies.provenance import Settings
from vae_lightning.studies.store import Figures
from vae_lightning.studies.trainings import Trainings, keep_best
from vae_lightning.training import trainer
from vae_lightning.trust import read_checkpoint


@dataclass(frozen=True)
class Table2:
    """Trains and judges cells.

    Args:
        size: how much is computed.
        test_every_epoch: also find the least test deviance of any epoch, which the paper reports. It chooses nothing.
    """

    size: NewsgroupsSize
    test_every_epoch: bool = False

    def run(self, cell: Cell, seed: int, data: Newsgroups, folder: Path) -> Figures:
        """Train a model, take the epoch of the best validation NELBO, and judge it on both splits.

        The last epoch's training deviance is found as well: it is what the paper reports, the least, or nearly so.
        """
        pl.seed_everything(seed, verbose=False)
        data.setup()
        model, size = cell.model, self.size
        module = model.build(cell.bits, data, size)
        trainings = Trainings(folder, self.trained_by(cell, seed), options=model.options(size))
        best = keep_best("val/nelbo")
        tested = [LeastTestDeviance(data)] if self.tests_every_epoch(cell) else []
        trainings.fit(module, data, model.epochs(size), [*model.bounds(size), best, *model.stops(size), *tested])
        last = self._deviance(cell, module, OnTraining(data))
        selected = trainings.restore_best(module)
        found = {"last_train_deviance": last, "train_deviance": self._deviance(cell, module, OnTraining(data))}
        found |= {"epoch": float(selected["epoch"] + 1), "epochs": float(read_checkpoint(trainings.last)["epoch"])}
        if tested:
            found["least_test_deviance"] = tested[0].least
        return found | self._judged(cell, module, data, folder)

    def tests_every_epoch(self, cell: Cell) -> bool:
        """Whether that is asked for, and the paper has a figure to hold it against."""
        return self.test_every_epoch and cell.model.place(cell.bits) is not None

    def trained_by(self, cell: Cell, seed: int) -> Settings:
        """What the training of a cell depends on."""
        told = {"seed": seed, **cell.model.settings(cell.bits, self.size)}
        return {**told, "tested every epoch": "for the least"} if self.tests_every_epoch(cell) else told

    def _judged(self, cell: Cell, module: ReproducibleModule, data: Newsgroups, folder: Path) -> Figures:
        """Figures of the test split, which is read here."""
        retrieval = HammingPrecision(self.size.retrieved, every_n_epochs=1)
        run = trainer(logger=logs(folder), callbacks=[*cell.model.bounds(self.size), *cell.model.judges(), retrieval])
        found = _tested(run, module, data)
        precision = found.pop(f"precision@{self.size.retrieved}")
        return found | {"precision": precision, "deviance": cell.model.deviance(found, _documents(data))}

    def _deviance(self, cell: Cell, module: ReproducibleModule, data: InMemoryDataModule) -> float:
        """Of what counts as the test split of these data."""
        found = _tested(trainer(callbacks=cell.model.bounds(self.size)), module, data)
        return cell.model.deviance(found, _documents(data))


def _tested(run: pl.Trainer, module: ReproducibleModule, data: InMemoryDataModule) -> Figures:
    (tested,) = run.test(module, data, verbose=False)
    return {name.removeprefix("test/"): float(value) for name, value in tested.items() if name.startswith("test/")}


def _documents(data: InMemoryDataModule) -> Counts:
    x = data.test.x
    assert isinstance(x, Counts), "documents are sparse"
    return x
