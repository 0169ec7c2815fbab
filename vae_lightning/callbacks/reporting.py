"""Reporting: figures and other findings of a diagnostic -> the run's loggers, at the step they are of."""

from __future__ import annotations

import weakref
from collections.abc import Mapping

import lightning.pytorch as pl
from lightning.pytorch.loggers import TensorBoardLogger
from lightning.pytorch.loggers.logger import DummyLogger
from lightning.pytorch.utilities import rank_zero_warn
from torch import Tensor
from torch.utils.tensorboard.writer import SummaryWriter

from vae_lightning.models.protocols import KnowsTraining


def log_figures(module: pl.LightningModule, split: str, figures: Mapping[str, Tensor]) -> None:
    """Log figures, which are equal on all processes, as `split/name` in single precision."""
    module.log_dict({f"{split}/{name}": value.float() for name, value in figures.items()}, sync_dist=True)


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
    if (writer := silent_tensorboard(trainer)) is None and not any(
        isinstance(logger, TensorBoardLogger) for logger in trainer.loggers
    ):
        say_lost(trainer, "histograms and texts are not kept: they go to a TensorBoardLogger alone")
    return writer


def silent_tensorboard(trainer: pl.Trainer) -> SummaryWriter | None:
    """The same, for those that have another place for what they found."""
    loggers = [logger for logger in trainer.loggers if isinstance(logger, TensorBoardLogger)]
    return loggers[0].experiment if loggers and trainer.is_global_zero else None


def say_lost(trainer: pl.Trainer, what: str) -> None:
    """Say once of a run what it does not keep; nothing of a dry run, which keeps nothing."""
    if trainer not in _TOLD and not any(isinstance(logger, DummyLogger) for logger in trainer.loggers):
        _TOLD.add(trainer)
        rank_zero_warn(f"{what}, and this run has none")


_TOLD: weakref.WeakSet[pl.Trainer] = weakref.WeakSet()
