"""LastCheckpoint: where an interrupted run goes on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import lightning.pytorch as pl
from lightning.pytorch.callbacks import Checkpoint


class LastCheckpoint(Checkpoint):
    """Writes `checkpoints/last.ckpt` in the run's folder after every epoch, and every `every_n_steps` steps if given.

    Both kinds resume exactly. A checkpoint is written beside its target and moved over it, so that the last whole one
    always loads, whenever the process is killed.
    """

    def __init__(self, every_n_steps: int | None = None) -> None:
        if every_n_steps is not None and every_n_steps < 1:
            raise ValueError(f"LastCheckpoint needs every_n_steps >= 1, or null for epochs alone; got {every_n_steps}")
        self.every_n_steps = every_n_steps

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """In mid-epoch, after a step: between the parts of an accumulated gradient there is nothing to resume from."""
        stepped = (batch_idx + 1) % trainer.accumulate_grad_batches == 0
        if self.every_n_steps and stepped and trainer.global_step % self.every_n_steps == 0:
            self._save(trainer)

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """At the end of an epoch."""
        self._save(trainer)

    @staticmethod
    def _save(trainer: Any) -> None:
        folder = trainer.log_dir  # asked on every rank: it is broadcast
        if folder is not None and not trainer.fast_dev_run:
            trainer.save_checkpoint(Path(folder) / "checkpoints" / "last.ckpt", weights_only=False)
