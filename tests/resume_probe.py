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
