"""Diagnostic, MetricDiagnostic: when a diagnostic runs, on which split, and that watching changes nothing."""

from __future__ import annotations

import abc
from collections.abc import Mapping
from contextlib import AbstractContextManager
from inspect import signature
from typing import Any

import lightning.pytorch as pl
from torch import Tensor
from torchmetrics import Metric

from vae_lightning.batches import Batch
from vae_lightning.callbacks.reporting import log_figures
from vae_lightning.callbacks.requirements import require_latent_variable_model
from vae_lightning.data.protocols import SplitName
from vae_lightning.models.protocols import seed_of
from vae_lightning.randomness import seeded


class Diagnostic(pl.Callback, abc.ABC):
    """Reads the Draw of every evaluation batch and reports at the end of the split: `val/...` or `test/...`.

    Runs on every rank, in full precision, under a random state of its own: that of batch b is a function of
    the run's seed and b, whichever process evaluates it. In `fit` it runs on every `every_n_epochs`-th epoch's
    validation, or the next where that epoch has none, and on the last one; in `validate` and `test` always.
    """

    def __init__(self, every_n_epochs: int = 1) -> None:
        if every_n_epochs < 1:
            raise ValueError(f"{type(self).__name__} needs every_n_epochs >= 1, got {every_n_epochs}")
        self.every_n_epochs = every_n_epochs

    def __repr__(self) -> str:
        """The class, and those of its arguments that it keeps by their names."""
        kept = {name: vars(self)[name] for name in signature(type(self)).parameters if name in vars(self)}
        told = (
            f"{name}={type(value).__name__ if repr(value)[:1] == '<' else repr(value)}" for name, value in kept.items()
        )
        return f"{type(self).__name__}({', '.join(told)})"

    def begin(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        """Prepare for a split, before its first batch; by default do nothing."""

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Say before the first epoch, not after it, that the model has no Draw to read."""
        require_latent_variable_model(self, pl_module)

    def observe(self, trainer: pl.Trainer, module: pl.LightningModule, draw: Any, batch: Batch) -> None:
        """Look at a batch and what the module's `evaluate` made of it, of VAEs a `Draw`; by default do nothing."""

    @abc.abstractmethod
    def report(self, trainer: pl.Trainer, module: pl.LightningModule, split: SplitName) -> None:
        """Log or draw what was observed, after the last batch of a split."""

    def due(self, trainer: pl.Trainer) -> bool:
        """Whether this evaluation is one to watch."""
        if trainer.sanity_checking:
            return False
        done, every = trainer.current_epoch + 1, trainer.check_val_every_n_epoch or 1
        last = 0 < (trainer.max_epochs or 0) < done + every
        return trainer.state.fn != "fit" or done % self.every_n_epochs < every or last

    def _apart(self, module: pl.LightningModule, *keys: int | str) -> AbstractContextManager[None]:
        return seeded(seed_of(module), type(self).__name__, *keys)

    def on_validation_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Begin a split."""
        if self.due(trainer):
            with self._apart(pl_module, "begin"):
                self.begin(trainer, pl_module)

    def on_validation_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Batch, batch_idx: int, *_: Any
    ) -> None:
        """Observe the batch, with noise that is a function of the batch's number over all processes."""
        if self.due(trainer):
            with self._apart(pl_module, batch_idx * trainer.world_size + trainer.global_rank):
                self.observe(trainer, pl_module, outputs, batch)

    def on_validation_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Report on the split."""
        if self.due(trainer):
            with self._apart(pl_module, "report"):
                self.report(trainer, pl_module, "val")

    def on_test_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Begin a split."""
        self.on_validation_epoch_start(trainer, pl_module)

    def on_test_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Batch, batch_idx: int, *_: Any
    ) -> None:
        """Observe the batch."""
        self.on_validation_batch_end(trainer, pl_module, outputs, batch, batch_idx)

    def on_test_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Report on the split."""
        if self.due(trainer):
            with self._apart(pl_module, "report"):
                self.report(trainer, pl_module, "test")


class MetricDiagnostic(Diagnostic):
    """A Diagnostic whose figures are those of one metric, which `observe` updates; it is reset before each split.

    Args:
        metric: what is computed of a split. It merges what it keeps over processes.
        every_n_epochs: in `fit`, watch the validation of every n-th epoch; `validate` and `test` always.
    """

    metric: Metric

    def __init__(self, metric: Metric, every_n_epochs: int = 1) -> None:
        super().__init__(every_n_epochs)
        self.metric = metric

    def begin(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        """Reset the metric."""
        self.metric.to(module.device).reset()

    @abc.abstractmethod
    def observe(self, trainer: pl.Trainer, module: pl.LightningModule, draw: Any, batch: Batch) -> None:
        """Update the metric by one evaluation batch."""

    def report(self, trainer: pl.Trainer, module: pl.LightningModule, split: str) -> None:
        """Log the figures."""
        log_figures(module, split, self.figures())

    def figures(self) -> Mapping[str, Tensor]:
        """The figures of the split, by the names that they are logged under; by default all that the metric has."""
        figures: dict[str, Tensor] = self.metric.compute()
        return figures
