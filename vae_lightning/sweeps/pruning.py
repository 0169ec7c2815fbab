"""Pruning: a trial's figure at each validation -> the end of a trial that is worse than most."""

from __future__ import annotations

import math
from dataclasses import replace

import lightning.pytorch as pl

from vae_lightning.sweeps.record import Record, settings
from vae_lightning.sweeps.running import Outcome, train
from vae_lightning.sweeps.study import Journal, Trial


class Pruning(pl.Callback):
    """Tells Optuna what a trial has reached at each validation, and ends it there if its pruner says so."""

    def __init__(self, trial: Trial) -> None:
        self.trial, self.journal, self.pruned = trial, Journal(trial.sweep), False

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Tell the figure on one process; all processes end together."""
        value = float(trainer.callback_metrics.get(self.trial.by, math.nan))
        if trainer.sanity_checking or math.isnan(value):
            return
        told = trainer.is_global_zero and self.journal.report(self.trial.number, trainer.global_step, value)
        self.pruned = bool(trainer.strategy.broadcast(told))
        trainer.should_stop |= self.pruned


def train_trial(trial: Trial) -> Outcome:
    """Train a trial in this process, until it ends or is ended."""
    watched = Pruning(trial)
    outcome = train(trial, [watched])
    if not watched.pruned or outcome.state != "finished":
        return outcome
    Record(settings(trial.run.arguments), "pruned").write(trial.folder)
    return replace(outcome, state="pruned")
