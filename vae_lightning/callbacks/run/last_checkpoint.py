"""LastCheckpoint: where an interrupted run goes on."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import torch
from lightning.pytorch.callbacks import Checkpoint, GradientAccumulationScheduler
from lightning.pytorch.utilities.types import STEP_OUTPUT

from vae_lightning.batches import Batch
from vae_lightning.callbacks.run import loop_state
from vae_lightning.callbacks.run.configurations import configurations
from vae_lightning.callbacks.run.copies import Copies
from vae_lightning.callbacks.run.loop_state import LoaderStates
from vae_lightning.data.base import InMemoryDataModule
from vae_lightning.data.protocols import datamodule
from vae_lightning.process import peer_failed
from vae_lightning.process.slurm import requeue
from vae_lightning.process.trainers import disown_children, is_logged
from vae_lightning.signals import Interrupted, signals


class LastCheckpoint(Checkpoint):
    """Writes `checkpoints/last.ckpt` in the run's folder after every epoch, and every `every_n_steps` steps if given.

    It is written when all that belongs to its last step has happened, the validation that the step is followed by too:
    before the next batch is begun, or when the run ends. A run that goes on from it, whenever it was killed, ends with
    the same bits as one that was not. That includes a run that `max_steps`, `max_time` or EarlyStopping ends in
    mid-epoch, which is not validated for it: it goes on in that epoch. Between the parts of an accumulated gradient
    there is nothing to go on from.

    A signal that the command handles, SIGTERM, SIGINT or SIGHUP, ends the training on all processes at the next such
    moment. So does SLURM's before a job's time is over, SIGUSR1, after which the job is requeued.

    It is written beside its target and moved over it, so that the last whole one always loads. Machines that share no
    folder have the file each.
    """

    def __init__(self, every_n_steps: int | None = None) -> None:
        if every_n_steps is not None and every_n_steps < 1:
            raise ValueError(f"LastCheckpoint needs every_n_steps >= 1, or null for epochs alone; got {every_n_steps}")
        self.every_n_steps = every_n_steps
        self._first = _First(self)
        self._path: Path | None = None
        self._copies: Copies | None = None
        self._due: LoaderStates | None = None  # those of the loaders, if it is to be written before the next batch
        self._state: dict[str, Any] | None = None  # of the loops, while it is being written
        self._logged: dict[str, Any] = {}
        self._signum = 0  # of the signal that ends the training

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Come first, too: what the other callbacks do at the start of a batch belongs to the next step."""
        if stage == "fit" and self._first not in trainer.callbacks:  # type: ignore[attr-defined]
            trainer.callbacks = [self._first, *trainer.callbacks]  # type: ignore[attr-defined]

    def on_load_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """What Lightning does not restore: the figures logged so far, and that the run had been stopped."""
        if trainer.state.fn == "fit":
            figures: dict[str, Any] = checkpoint.get("logged", {})
            self._logged = {name: value for name, value in figures.items() if isinstance(value, torch.Tensor)}
            trainer.should_stop |= loop_state.stopped_early(trainer.early_stopping_callbacks, checkpoint)

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Give callbacks that read figures those from before the interruption."""
        trainer.callback_metrics.update(self._logged)
        self._logged = {}

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Find the run's folder."""
        folder = trainer.log_dir  # asked on every rank: it is broadcast
        dry = folder is None or trainer.fast_dev_run  # type: ignore[attr-defined]
        self._path = None if dry else Path(str(folder)) / "checkpoints" / "last.ckpt"
        self._copies = None if dry else Copies(trainer, Path(str(folder)))
        self._due, self._signum, self._max_steps = None, 0, trainer.max_steps
        signals.hold(bool(signals.handled))
        for each in trainer.callbacks:  # type: ignore[attr-defined]
            if isinstance(each, GradientAccumulationScheduler):  # it sets this as an epoch begins, which may be over
                trainer.accumulate_grad_batches = each.get_accumulate_grad_batches(trainer.current_epoch)

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: STEP_OUTPUT, batch: Batch, batch_idx: int
    ) -> None:
        """Decide whether the checkpoint is to be written before the next batch."""
        stepped = (batch_idx + 1) % trainer.accumulate_grad_batches == 0
        if trainer.should_stop and trainer.fit_loop._can_stop_early:
            # Lightning would end within an accumulated gradient, and validate at a step where a longer run does not
            trainer.should_stop = False
            trainer.fit_loop.epoch_loop.max_steps = trainer.global_step + (not stepped)
        # of several processes on GPUs at logged steps alone: to ask the others is to wait for the device
        free = trainer.world_size == 1 or trainer.strategy.root_device.type == "cpu"
        self._signum = _signalled(trainer) if free or is_logged(trainer, trainer.global_step - 1) else 0
        interval = self.every_n_steps is not None and trainer.global_step % self.every_n_steps == 0
        if stepped and (interval or self._signum):
            self._due = loop_state.loader_states(trainer)

    def before_batch(self, trainer: pl.Trainer) -> None:
        """Write the checkpoint in mid-epoch, if it is due."""
        # for Lightning the epoch is restarting until it ends, and schedulers that read a figure are not stepped then
        trainer.fit_loop._restarting = False
        loop_state.forget_step(trainer)
        if self._due is not None:
            self._save(trainer, loop_state.between_batches(trainer, self._due))
            self._end_if_signalled()

    def before_epoch(self, trainer: pl.Trainer) -> None:
        """Write the checkpoint before an epoch, unless the run has just gone on from there."""
        if trainer.global_step and not trainer.fit_loop.restarting:
            self._save(trainer, loop_state.between_epochs(trainer))
        self._signum = _signalled(trainer)
        self._end_if_signalled()

    def after_epoch(self, trainer: pl.Trainer) -> None:
        """Write the checkpoint of a run that ends in mid-epoch, before others take that for the epoch's end."""
        within = trainer.fit_loop.epoch_loop.batch_progress.current.completed % trainer.accumulate_grad_batches
        if not loop_state.epoch_over(trainer) and not within:
            self._save(trainer, loop_state.between_batches(trainer, loop_state.loader_states(trainer)))

    def after_training(self, trainer: pl.Trainer) -> None:
        """Write the checkpoint of a run that ends with an epoch."""
        trainer.fit_loop.epoch_loop.max_steps = self._max_steps
        if loop_state.epoch_over(trainer):
            self._save(trainer, loop_state.between_epochs(trainer))
        signals.hold(False)

    def on_exception(self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException) -> None:
        """Say how to go on, if that is what is needed."""
        signals.hold(False)
        for child in disown_children(trainer):
            if not self._signum:  # those that know of a signal end by themselves
                child.terminate()
        told = isinstance(exception, Interrupted) and trainer.is_global_zero
        ended = told or peer_failed(exception) or isinstance(exception, OSError)
        if ended and self._path is not None and self._path.is_file() and _config(self._path).is_file():
            exception.add_note(_how_to_go_on(trainer, self._path))
        if isinstance(exception, Interrupted) and (said := requeue(trainer, exception)):
            exception.add_note(said)

    def on_save_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """What makes it whole: the loops' state, and the figures logged so far."""
        if self._state is not None:
            checkpoint["loops"]["fit_loop"] = self._state
            checkpoint["logged"] = {name: value.detach().cpu() for name, value in trainer.callback_metrics.items()}

    def _save(self, trainer: pl.Trainer, state: dict[str, Any]) -> None:
        self._due = None
        if self._path is None:
            return
        for logger in trainer.loggers:
            logger.save()  # so that no point of before is missing after
        self._state = state
        try:
            trainer.save_checkpoint(self._path, weights_only=False)
        finally:
            self._state = None
        if self._copies is not None:
            self._copies.send(self._path)

    def _end_if_signalled(self) -> None:
        if self._signum:
            raise Interrupted(self._signum)


def _config(last: Path) -> Path:
    """Of a run of the command; a training of a study, or from Python, has none and goes on in another way."""
    return configurations(last.parent.parent)[-1][1]


def _how_to_go_on(trainer: pl.Trainer, last: Path) -> str:
    """The command; of several machines, on each, or on one with the observations of a step that all have had."""
    command = f"go on with: vae-lightning fit --config {shlex.quote(str(_config(last)))} --ckpt_path "
    command += shlex.quote(str(last))
    if trainer.num_nodes == 1:
        return command
    data = datamodule(trainer)
    step = f" --data.batch_size {data.batch_size * trainer.num_nodes}" if isinstance(data, InMemoryDataModule) else ""
    return f"{command}; on one machine add: --trainer.num_nodes 1{step}"


def _signalled(trainer: pl.Trainer) -> int:
    """The signal that one of the processes has received, or 0."""
    if trainer.world_size == 1 or not signals.handled:
        return signals.received
    received = torch.tensor(signals.received, device=trainer.strategy.root_device)
    return int(trainer.strategy.reduce(received, reduce_op="max"))


class _First(pl.Callback):
    """Tells a LastCheckpoint, which is the last of the callbacks, of moments that it must see before the others."""

    def __init__(self, last: LastCheckpoint) -> None:
        self.last = last

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Tell it that an epoch begins."""
        self.last.before_epoch(trainer)

    def on_train_batch_start(self, trainer: pl.Trainer, *_: Any) -> None:
        """Tell it that the last step is over."""
        self.last.before_batch(trainer)

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Tell it that the epoch's last step is over, but not the epoch."""
        self.last.after_epoch(trainer)

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Tell it that the run is over."""
        self.last.after_training(trainer)
