"""EpochLines: the progress of a training -> a line for each epoch, where there is no terminal for a bar to move in."""

from __future__ import annotations

import time
from typing import Any

import lightning.pytorch as pl
from lightning.pytorch.callbacks import ProgressBar


class EpochLines(ProgressBar):
    """Prints `epoch 12/200: train/loss 26.2, val/nelbo 27.2 (0.3 s)` when an epoch is over, with a bar's figures.

    The command uses it in place of a bar where its output is a file or a pipe, in which a bar shows nothing until the
    end. Epochs that follow the last line within less than `seconds` are left out, but for the last.

    Args:
        seconds: the least time between two lines.
    """

    def __init__(self, seconds: float = 1.0) -> None:
        super().__init__()
        self.seconds = seconds
        self._enabled, self._told, self._began = True, 0.0, 0.0

    def disable(self) -> None:
        """Print nothing, as on all processes but the first."""
        self._enabled = False

    def enable(self) -> None:
        """Print again."""
        self._enabled = True

    def on_train_start(self, trainer: pl.Trainer, *_: Any) -> None:
        """Take the time: a run that goes on may be in the middle of an epoch."""
        self._began = time.monotonic()

    def on_train_epoch_start(self, trainer: pl.Trainer, *_: Any) -> None:
        """Take the time."""
        self._began = time.monotonic()

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Print the line."""
        now, done = time.monotonic(), trainer.current_epoch + 1
        if not self._enabled or (now - self._told < self.seconds and done != trainer.max_epochs):
            return
        self._told = now
        shown = {name: value for name, value in self.get_metrics(trainer, pl_module).items() if name != "v_num"}
        figures = ", ".join(f"{name} {value:.4g}" for name, value in shown.items() if isinstance(value, int | float))
        of_all = f"/{trainer.max_epochs}" if trainer.max_epochs and trainer.max_epochs > 0 else ""
        print(f"epoch {done}{of_all}: {figures} ({now - self._began:.1f} s)", flush=True)
