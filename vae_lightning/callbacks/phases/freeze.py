"""Freeze: hold a part of the model fixed in the first steps of training."""

from __future__ import annotations

import lightning.pytorch as pl
from torch import nn

from vae_lightning.batches import Batch


class Freeze(pl.Callback):
    """Hold the parameters of a submodule fixed before a step: trained only where global step >= until_step.

    A phase is a function of the step, so a resumed run needs no state. Frozen parameters get no gradient, hence
    neither weight decay nor momentum, and the optimizer first sees them at `until_step`. Buffers, such as running
    statistics, are not held. Several processes (DDP) need `strategy: ddp_find_unused_parameters_true`.

    Args:
        module: the submodule's dotted name in the LightningModule, such as `model.decoder`.
        until_step: the number of optimizer steps to hold it for.

    ValueError for a negative step; at the start of training, for a name that is none of the model's submodules.
    """

    def __init__(self, module: str, until_step: int) -> None:
        if until_step < 0:
            raise ValueError(f"until_step counts optimizer steps and cannot be negative, got {until_step}")
        self.module, self.until_step = module, until_step
        self.parameters: list[nn.Parameter] = []

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Find the parameters; those that do not train anyway are left alone."""
        if stage != "fit":
            return
        try:
            module = pl_module.get_submodule(self.module)
        except AttributeError as error:
            children = ", ".join(name for name, _ in pl_module.named_modules() if name and name.count(".") < 2)
            raise ValueError(f"the model has no submodule {self.module!r} to freeze; it has {children}") from error
        self.parameters = [parameter for parameter in module.parameters() if parameter.requires_grad]

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Batch, batch_idx: int
    ) -> None:
        """Freeze or thaw, by the step."""
        self._train(trainer.global_step >= self.until_step)

    def teardown(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Leave the model as it was found."""
        self._train(True)
        self.parameters = []

    def _train(self, train: bool) -> None:
        for parameter in self.parameters:
            parameter.requires_grad_(train)
