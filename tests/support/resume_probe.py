"""Callbacks that tests put into real processes."""

from __future__ import annotations

import os
import signal
from typing import Any

import lightning.pytorch as pl
import torch


class Kill(pl.Callback):
    """SIGKILL, at the start of a step: nothing is cleaned up."""

    def __init__(self, step: int) -> None:
        self.step = step

    def on_train_batch_start(self, trainer: pl.Trainer, *_: Any) -> None:
        if trainer.global_step == self.step:
            os.kill(os.getpid(), signal.SIGKILL)


class Poison(pl.Callback):
    """Puts a NaN into the decoder's bias at a step."""

    def __init__(self, step: int) -> None:
        self.step = step

    def on_train_batch_start(self, trainer: pl.Trainer, pl_module: Any, *_: Any) -> None:
        if trainer.global_step == self.step:
            with torch.no_grad():
                pl_module.model.decoder.network.output.bias[0] = float("nan")


class KillInSave(pl.Callback):
    """SIGKILL while the first checkpoint after a step is half written."""

    def __init__(self, step: int) -> None:
        self.step = step

    def on_train_batch_start(self, trainer: pl.Trainer, *_: Any) -> None:
        if trainer.global_step == self.step:
            torch.save = half_a_file


def half_a_file(checkpoint: Any, file: Any) -> None:
    file.write(b"PK\x03\x04 half of a checkpoint")
    file.flush()
    os.kill(os.getpid(), signal.SIGKILL)


class Stop(pl.Callback):
    """Asks for an end of the training after so many batches, as `max_time` does."""

    def __init__(self, batch: int) -> None:
        self.batch, self.seen = batch, 0

    def on_train_batch_end(self, trainer: pl.Trainer, *_: Any) -> None:
        self.seen += 1
        trainer.should_stop |= self.seen == self.batch
