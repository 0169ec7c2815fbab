"""Diagnostic, MetricDiagnostic: when a diagnostic runs, on which split, and that watching changes nothing."""

from __future__ import annotations

import abc
import math
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
    validation, or the next where that epoch has none, and on the last one that epochs and steps allow; in `validate`
    and `test` always.
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
        if trainer.sanity_checking or trainer.state.fn != "fit":
            return not trainer.sanity_checking
        done, every = trainer.current_epoch + 1, _epochs_between(trainer)
        return done % self.every_n_epochs < every or _epochs(trainer) < done + every

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


def _epochs_between(trainer: pl.Trainer) -> int:
    """How many epochs there are from a validation to the next, at most; 1 if there are several in each."""
    if trainer.check_val_every_n_epoch is not None:
        return trainer.check_val_every_n_epoch
    return max(1, math.ceil((trainer.val_check_batch or 0) / trainer.num_training_batches))


def _epochs(trainer: pl.Trainer) -> float:
    """How many whole epochs a fit may have; inf if neither epochs nor steps end it."""
    limits, batches = [float(trainer.max_epochs or -1)], trainer.num_training_batches
    if batches < math.inf:
        limits.append(float(trainer.max_steps // math.ceil(batches / trainer.accumulate_grad_batches)))
    return min((limit for limit in limits if limit >= 0), default=math.inf)


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
