"""Momentum: the optimizer's momentum by a schedule of the step."""

from __future__ import annotations

import lightning.pytorch as pl

from vae_lightning.batches import Batch
from vae_lightning.objectives.schedules import Schedule


class Momentum(pl.Callback):
    """Sets the optimizer's momentum before every step: SGD's and RMSprop's `momentum`, the first of Adam's `betas`.

    A function of the step alone, so that a resumed run continues it. RBMs like a low momentum until the first features
    are found and a high one after (Hinton, A Practical Guide to Training Restricted Boltzmann Machines, 2010, 9.1).

    Args:
        schedule: step -> momentum, such as `vae_lightning.objectives.WarmUp(steps=1000, start=0.5, end=0.9)`.

    ValueError before the first step for an optimizer without momentum; for a value outside [0, 1) when it is due.
    """

    def __init__(self, schedule: Schedule) -> None:
        self.schedule = schedule

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Look at the optimizer."""
        for optimizer in trainer.optimizers:
            if not {"momentum", "betas"} & set(optimizer.defaults):
                raise ValueError(f"{type(optimizer).__name__} has no momentum to schedule: use SGD, RMSprop or Adam")

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Batch, batch_idx: int
    ) -> None:
        """Set the momentum of this step."""
        momentum = self.schedule(trainer.global_step)
        if not 0 <= momentum < 1:
            raise ValueError(f"momentum must be in [0, 1), got {momentum} of {self.schedule!r}")
        for group in (group for optimizer in trainer.optimizers for group in optimizer.param_groups):
            if "momentum" in group:
                group["momentum"] = momentum
            else:
                group["betas"] = (momentum, group["betas"][1])
