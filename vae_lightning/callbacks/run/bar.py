"""Bar: the steps of a training -> a bar in a terminal that is told of them as often as anybody can see."""

from __future__ import annotations

import time
from typing import Any

import lightning.pytorch as pl
from lightning.pytorch.callbacks import RichProgressBar


class Bar(RichProgressBar):
    """Lightning's RichProgressBar, drawn ten times a second, and told of steps twice as often and not of each.

    The command uses it in a terminal. It is up to date at the last step before a validation and of an epoch.

    Examples:
        >>> from vae_lightning.callbacks import Bar
        >>> Bar(refresh_rate=5).refresh_rate  # pictures a second
        5
    """

    def __init__(self, refresh_rate: int = 10, **settings: Any) -> None:
        super().__init__(refresh_rate, **settings)
        self._next, self._untold = 0.0, 0

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Move, unless it moved since the last picture."""
        self._untold = batch_idx + 1
        if (now := time.monotonic()) < self._next:
            return
        super().on_train_batch_end(trainer, pl_module, outputs, batch, batch_idx)
        self._next, self._untold = now + 0.5 / max(1, self.refresh_rate), 0

    def on_validation_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Move to where the training pauses."""
        super().on_validation_start(trainer, pl_module)
        self._catch_up()

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Move to the end."""
        self._catch_up()
        super().on_train_epoch_end(trainer, pl_module)

    def _catch_up(self) -> None:
        if self._untold:
            self._update(self.train_progress_bar_id, self._untold)
        self._untold = 0
