"""Diagnostic: when a diagnostic runs, on which split, and that watching changes nothing."""

from __future__ import annotations

import abc
import weakref
from contextlib import AbstractContextManager
from typing import Any

import lightning.pytorch as pl
from lightning.pytorch.loggers import TensorBoardLogger
from lightning.pytorch.loggers.logger import DummyLogger
from lightning.pytorch.utilities import rank_zero_warn
from torch.utils.tensorboard.writer import SummaryWriter

from vae_lightning.batches import Batch
from vae_lightning.data.protocols import InMemory, SplitName, datamodule
from vae_lightning.latent_variable import LatentVariableModel
from vae_lightning.models.preflight import NAMES, SPLITS
from vae_lightning.models.protocols import Generates, KnowsTraining, WritesMembers, part, seed_of
from vae_lightning.objectives import Objective
from vae_lightning.randomness import seeded


class Diagnostic(pl.Callback, abc.ABC):
    """Reads the Draw of every evaluation batch and reports at the end of the split: `val/...` or `test/...`.

    Runs on every rank, in full precision, under a random state of its own: that of batch b is a function of
    the run's seed and b, whichever process evaluates it. In `fit` it runs on every `every_n_epochs`-th epoch's
    validation and on the last one; in `validate` and `test` always.
    """

    def __init__(self, every_n_epochs: int = 1) -> None:
        if every_n_epochs < 1:
            raise ValueError(f"{type(self).__name__} needs every_n_epochs >= 1, got {every_n_epochs}")
        self.every_n_epochs = every_n_epochs

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
        done = trainer.current_epoch + 1
        return trainer.state.fn != "fit" or done % self.every_n_epochs == 0 or done == trainer.max_epochs

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


def require_latent_variable_model(callback: pl.Callback, module: pl.LightningModule) -> LatentVariableModel:
    """The module's `.model`; TypeError if it is not one of encoder, decoder and prior."""
    model = part(module, "model")
    if not isinstance(model, LatentVariableModel):
        members = ", its members do: write them as checkpoints by MemberCheckpoints"
        way_out = members if isinstance(module, WritesMembers) else ""
        raise TypeError(
            f"{type(callback).__name__} needs a model with encoder, decoder and prior as its .model, such as VAE; "
            f"{type(module).__name__} has none{way_out}"
        )
    return model


def require_objective(callback: pl.Callback, module: pl.LightningModule) -> Objective:
    """The module's `.objective`; TypeError if it has none."""
    objective = part(module, "objective")
    if not isinstance(objective, Objective):
        raise TypeError(
            f"{type(callback).__name__} needs a model that is trained by an Objective, as its .objective; "
            f"{type(module).__name__} has none"
        )
    return objective


def require_generates(callback: pl.Callback, module: pl.LightningModule) -> Generates:
    """The module; TypeError if it cannot draw observations."""
    if not isinstance(module, Generates):
        raise TypeError(
            f"{type(callback).__name__} needs a model with sample(n) -> observations; {type(module).__name__} has none"
        )
    return module


def check_size(callback: pl.Callback, trainer: pl.Trainer, stage: str, least: int) -> None:
    """ValueError, before the first epoch, for a split that the stage evaluates and that is too small for a figure."""
    for name, size in evaluated(trainer, stage).items():
        if 0 < size < least:
            raise ValueError(
                f"{type(callback).__name__} needs {least} observations or more, the {NAMES[name]} have {size}: set "
                "more aside, or leave this callback out"
            )


def evaluated(trainer: pl.Trainer, stage: str) -> dict[str, int]:
    """The splits in memory that a stage evaluates, and how many observations they have."""
    data = datamodule(trainer)
    if not isinstance(data, InMemory):
        return {}
    return {name: len(data.split(name)) for name in SPLITS.get(stage, ()) if name != "train"}


def logged_step(trainer: pl.Trainer) -> int:
    """The step at which Lightning logs a validation's scalars: the last one done, or the one that is being accumulated.

    Outside `fit` it is the last one of the training that the module's weights come from, if it is known.
    """
    if trainer.state.fn == "fit":
        return trainer.fit_loop.epoch_loop._batches_that_stepped
    module = trainer.lightning_module
    return max((module.trained_steps if isinstance(module, KnowsTraining) else trainer.global_step) - 1, 0)


def occasion(trainer: pl.Trainer, split: str) -> str:
    """Which evaluation a warning speaks of: the epoch and the split; outside `fit`, where no epoch is known, it."""
    return f"epoch {trainer.current_epoch}, {split}" if trainer.state.fn == "fit" else split


def tensorboard(trainer: pl.Trainer) -> SummaryWriter | None:
    """The TensorBoard writer of this run, on the rank that has one; where a run has none, that is said once."""
    for logger in trainer.loggers:
        if trainer.is_global_zero and isinstance(logger, TensorBoardLogger):
            return logger.experiment
    if (
        not any(isinstance(logger, TensorBoardLogger | DummyLogger) for logger in trainer.loggers)
        and trainer not in _TOLD
    ):
        _TOLD.add(trainer)
        rank_zero_warn(
            "pictures and histograms are not kept: they go to a TensorBoardLogger alone, and this run has none"
        )
    return None


_TOLD: weakref.WeakSet[pl.Trainer] = weakref.WeakSet()
