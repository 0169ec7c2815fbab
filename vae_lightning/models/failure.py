"""Failure: a training that cannot go on -> what is not finite, and the way out."""

from __future__ import annotations

import abc
from dataclasses import dataclass
from pathlib import Path

import lightning.pytorch as pl
import torch
from torch import Tensor, nn

from vae_lightning.batches import Batch
from vae_lightning.models.preflight import Preflight
from vae_lightning.process.hooks import QuickHooks

_STACKED = 1024  # losses that become one tensor


@dataclass(frozen=True)
class NotFinite:
    """The first loss of a training that is not finite, and its step."""

    step: int
    loss: float


class Losses:
    """The losses of the steps since they were last looked at; they stay on their device, for to look is to wait."""

    def __init__(self) -> None:
        self._steps: list[int] = []
        self._each: list[Tensor] = []
        self._before: list[Tensor] = []

    def add(self, step: int, loss: Tensor) -> None:
        """Remember the loss of a step."""
        self._steps.append(step)
        self._each.append(loss.detach())
        if len(self._each) == _STACKED:
            self._before.append(torch.stack(self._each))
            self._each.clear()

    def look(self) -> NotFinite | None:
        """The first that is not finite, if any; all are forgotten. Waits for the device, unless there are none."""
        steps, kept = self._steps, [*self._before, *(each[None] for each in self._each)]
        self.__init__()  # type: ignore[misc]
        if not kept:
            return None
        losses = torch.cat(kept)
        finite = losses.isfinite()
        if finite.all():
            return None
        first = int((~finite).int().argmax())
        return NotFinite(steps[first], float(losses[first]))


class StopsAtFailure(QuickHooks, abc.ABC):
    """A module that stops at a loss which is not finite, once it is looked at: at logged steps, and before all saves.

    No other step waits for the device. What is saved or validated has finite losses behind it.
    """

    def __init__(self) -> None:
        super().__init__()
        self._losses = Losses()

    @abc.abstractmethod
    def preflight(self, trainer: pl.Trainer) -> Preflight:
        """What the model asks of its data in this trainer."""

    def check_losses(self, batch: Batch | None = None) -> None:
        """ValueError if a loss since the last look is not finite; `batch` is that of this step, which is the last."""
        if (found := self._losses.look()) is None:
            return
        if batch is None or found.step < self.global_step:
            raise ValueError(found_late(self, found))
        self.preflight(self.trainer).check_batch(batch, f"batch of step {found.step}")  # the data come first
        raise ValueError(self._explain(found, batch))

    def _explain(self, found: NotFinite, batch: Batch) -> str:
        """Say where what is not finite comes from, and the way out."""
        return stopped(self, found, self.not_finite(batch))

    def not_finite(self, batch: Batch) -> str:
        """Which terms of the loss are not finite for this batch."""
        return "the loss itself"

    def on_train_epoch_end(self) -> None:
        """Look at the losses of steps that were not logged."""
        self.check_losses()


def broken_parameters(module: nn.Module) -> str:
    """The names of the parameters that are not finite, with commas; empty if all are finite."""
    return ", ".join(name for name, parameter in module.named_parameters() if not parameter.isfinite().all())


def way_out(trainer: pl.Trainer) -> str:
    """What to change, and the checkpoint to go on from, if there is one."""
    last = Path(trainer.log_dir or "", "checkpoints", "last.ckpt")
    back = f", and resume with --ckpt_path {last}" if last.is_file() else "; no checkpoint was written yet"
    return f"lower the learning rate or set trainer.gradient_clip_val{back}"


def stopped(module: pl.LightningModule, found: NotFinite, terms: str) -> str:
    """Why a training stops at this loss: the terms of it, and the parameters, that are not finite; the way out."""
    return (
        f"the loss is {found.loss} at step {found.step}; not finite: {terms}{_weights(module)}. "
        f"Training stops: {way_out(module.trainer)}"
    )


def found_late(module: pl.LightningModule, found: NotFinite) -> str:
    """The same of a step that was not logged, when its batch and the weights that it had are gone."""
    return (
        f"the loss is {found.loss} at step {found.step}{_weights(module)}; that step was not logged, so that it was "
        "looked at later: with --trainer.log_every_n_steps 1 a run stops there, and names the term and the rows. "
        f"Training stops: {way_out(module.trainer)}"
    )


def _weights(module: nn.Module) -> str:
    broken = broken_parameters(module)
    return f"; parameters not finite: {broken}" if broken else ""


def check_parameters(module: pl.LightningModule) -> None:
    """ValueError if a checkpoint would hold parameters that are not finite."""
    if broken := broken_parameters(module):
        raise ValueError(
            f"not saving a checkpoint: parameters not finite after step {module.global_step}: {broken}: "
            f"{way_out(module.trainer)}"
        )


def say_way_out(error: ValueError) -> None:
    """Note on torch's error for BatchNorm of a single observation what to do."""
    if str(error).startswith("Expected more than 1 value per channel"):
        error.add_note(
            "BatchNorm cannot train on a batch of one observation, which this batch has: choose data.batch_size so "
            "that it leaves no single observation over, or another normalisation, such as torch.nn.LayerNorm"
        )
