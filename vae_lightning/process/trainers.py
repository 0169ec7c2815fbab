"""Trainers: a Trainer of Lightning's -> what it does to this process, and to those that it has started."""

from __future__ import annotations

import subprocess
from types import FrameType

import lightning.pytorch as pl
from lightning.pytorch.strategies import DDPStrategy
from lightning.pytorch.strategies.launchers import _SubprocessScriptLauncher
from lightning.pytorch.trainer.connectors.signal_connector import _SignalConnector

from vae_lightning.signals import signals


def is_logged(trainer: pl.Trainer, step: int) -> bool:
    """Whether the trainer writes the figures of this step; never if it logs every 0 steps."""
    every: int = trainer.log_every_n_steps  # type: ignore[attr-defined]  # Lightning sets it without a declaration
    return every > 0 and (step + 1) % every == 0


def broadcasts_buffers(trainer: pl.Trainer) -> bool:
    """Whether DDP gives every process the first one's buffers before each step."""
    strategy = trainer.strategy
    if trainer.world_size == 1 or not isinstance(strategy, DDPStrategy):
        return False
    return bool(strategy._ddp_kwargs.get("broadcast_buffers", True))


class SignalConnector(_SignalConnector):
    """Lightning's handlers, such as of SLURM's signal to requeue, but of SIGTERM, at which it would talk to others."""

    def register_signal_handlers(self) -> None:
        """When a run begins."""
        super().register_signal_handlers()
        signals.take()

    def _slurm_sigusr_handler_fn(self, signum: int, frame: FrameType | None) -> None:
        """End as at SIGTERM, when the step is over: Lightning would write a checkpoint in the middle of it."""
        signals(signum, frame)


def disown_children(trainer: pl.Trainer) -> list[subprocess.Popen[bytes]]:
    """The processes that Lightning has started for this run, which it does not look after any more.

    It would kill this process when it sees that one of them has ended before.
    """
    launcher = trainer.strategy.launcher
    if not isinstance(launcher, _SubprocessScriptLauncher):
        return []
    children = list(launcher.procs)
    launcher.procs.clear()
    return children
