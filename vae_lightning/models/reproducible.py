"""ReproducibleModule: what every trained model shares: seeds, figures of a split, exact resume, honest failure."""

from __future__ import annotations

import abc
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, ClassVar

import lightning.pytorch as pl
from lightning.pytorch.cli import LRSchedulerCallable, OptimizerCallable
from lightning.pytorch.utilities.types import OptimizerLRScheduler
from torch import Tensor
from torch.optim import Optimizer
from torchmetrics import Metric

from vae_lightning.answers import Answering
from vae_lightning.answers.kept import kept_preparation
from vae_lightning.batches import Batch, observations
from vae_lightning.construction.hyperparameters import check_objects
from vae_lightning.construction.specification import Unspecified, specification
from vae_lightning.data.protocols import InMemory, Prepares, datamodule, weight_in_step
from vae_lightning.metrics.averages import Averages
from vae_lightning.models.failure import Losses, StopsAtFailure, check_parameters, say_way_out
from vae_lightning.models.preflight import Preflight, check_precision, stage_of, widen
from vae_lightning.models.schedules import following, scheduled
from vae_lightning.process import without_asking
from vae_lightning.process.hooks import signed
from vae_lightning.process.trainers import is_logged
from vae_lightning.randomness import reseed, run_seed
from vae_lightning.trust import FromCheckpoint


class ReproducibleModule(FromCheckpoint, StopsAtFailure, Answering, abc.ABC):
    """Trains by a loss that is a function of (batch, step), and evaluates a split by means of figures.

    A training step draws its noise from a seed of its own, (seed, step, rank), so that a resumed run repeats an
    uninterrupted one bit for bit; evaluation batch b from (seed, b), so that any number of processes sees the same
    noise. What `evaluate` gives for a batch, `validation_step` and `test_step` return for callbacks to read.
    """

    own: ClassVar[frozenset[str]] = frozenset(
        {"seed", "started", "trained_steps", "given_as_objects", "specified", "preparation"}
    )
    """Attributes in which modules alike, an Ensemble's members, may differ: what they have done, not what they are."""

    def __init__(
        self, figure_names: Sequence[str], optimizer: OptimizerCallable, scheduler: LRSchedulerCallable | None
    ) -> None:
        super().__init__()
        self.optimizer, self.scheduler = optimizer, scheduler
        self.averages: Metric = Averages(figure_names)
        self.seed = run_seed()
        self.started, self.preparation = False, None  # whether what starts from the training data has seen them
        self._unseen = False  # whether the data cannot be looked at before they come in batches
        self._first = True  # whether the next batch is the first of a fit
        self.trained_steps = 0  # that the weights have behind them, once a `fit` is over or a checkpoint read

    # -- data ----------------------------------------------------------------------------------------------------

    def preflight(self, trainer: pl.Trainer) -> Preflight:
        """What the model asks of its data in this trainer."""
        return Preflight.of(self.observed, self.parameters(), trainer)

    def prepare_data(self) -> None:
        """Look at the data before a run's folder is made; of several processes each does so in `setup`."""
        if self.trainer.world_size == 1:
            self._look(stage_of(self.trainer))

    def setup(self, stage: str) -> None:
        """Before a new model trains, show it the training data."""
        if self.trainer.world_size > 1:
            self._look(stage)
        data = datamodule(self.trainer)
        if stage == "fit":
            self.start_once(data)
        elif self.preparation is None:
            self.prepare_by(data)  # a model that is about to be restored: what it draws has the data's units

    def on_fit_start(self) -> None:
        """Remember how the training data are read, now that a run which goes on has its checkpoint's scaling."""
        self._losses, self._first = Losses(), True
        self.prepare_by(datamodule(self.trainer))

    def prepare_by(self, data: object) -> None:
        """From now on read other data as these."""
        self.preparation = data.preparation if isinstance(data, Prepares) else None

    def start_once(self, data: object) -> None:
        """Show a new model the training data; one that has seen some, or was read from a checkpoint, stays as it is."""
        if not self.started:
            self.start(data)
            self.started = True

    def _look(self, stage: str) -> None:
        check_precision(self.trainer)
        data = datamodule(self.trainer)
        self.check_data(data)
        self._unseen = not isinstance(data, InMemory)
        if isinstance(data, InMemory):
            data.setup(stage)
            self.preflight(self.trainer).check_splits(data, stage)

    def check_data(self, data: object) -> None:
        """ValueError, before anything is written, if the model is not of these data; by default any will do."""

    def start(self, data: object) -> None:
        """Let what starts from the training data, `data.train.x`, see them."""

    # -- training ------------------------------------------------------------------------------------------------

    @abc.abstractmethod
    def loss(self, batch: Batch, step: int) -> tuple[Tensor, dict[str, Tensor]]:
        """What training minimises at this step, in nats per observation, and figures to log; a pure function."""

    def training_loss(self, batch: Batch, step: int, read: bool) -> tuple[Tensor, dict[str, Tensor]]:
        """The loss and its figures; what goes on from step to step is kept here. Unread, only its gradient counts."""
        return self.loss(batch, step)

    def on_train_batch_start(self, batch: Batch, batch_idx: int) -> None:
        """Seed this step; look at a fit's first batch, if the data were not to be seen before."""
        if self._unseen and self._first:
            self._check_rows(batch)
        self._first = False
        part = batch_idx % self.trainer.accumulate_grad_batches
        reseed(self.seed, "train", self.global_step, self.global_rank, *([part] if part else []))

    @signed
    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """The loss; figures are logged on the steps that the trainer writes, since logging costs as much as a step."""
        trainer, step = self.trainer, self.global_step
        read = is_logged(trainer, step)
        try:
            loss, figures = self.training_loss(batch, step, read)
        except ValueError as error:
            say_way_out(error)
            raise
        self._losses.add(step, loss)
        if read:
            self.check_losses(batch)
            self.log_step(batch, loss.detach(), figures)
        weight = weight_in_step(trainer, batch_idx)
        return loss if weight == 1 else loss * weight

    def log_step(self, batch: Batch, loss: Tensor, figures: dict[str, Tensor]) -> None:
        """Log the loss and its figures, at a step that the trainer writes."""
        named = {f"train/{name}": value for name, value in ({"loss": loss} | figures).items()}
        self.log_dict(named, batch_size=len(observations(batch)))

    def _check_rows(self, batch: Batch) -> None:
        self.preflight(self.trainer).check_batch(batch, "rows of a batch")

    def on_fit_end(self) -> None:
        """Remember how many steps these weights were trained for."""
        self.trained_steps = self.global_step

    def configure_optimizers(self) -> OptimizerLRScheduler:
        """The optimizer, with its scheduler."""
        return self.scheduled(self.optimizer(self.parameters()))

    def scheduled(self, optimizer: Optimizer) -> OptimizerLRScheduler:
        """The optimizer with its scheduler: ReduceLROnPlateau is stepped where its figure is validated."""
        without_asking(optimizer)
        if self.scheduler is None:
            return optimizer
        return scheduled(optimizer, following(optimizer, self.scheduler), self.trainer.check_val_every_n_epoch)

    # -- evaluation ----------------------------------------------------------------------------------------------

    @abc.abstractmethod
    def evaluate(self, batch: Batch, index: int) -> Any:
        """What callbacks read of a batch, its noise a function of (seed, index) alone."""

    @abc.abstractmethod
    def figures(self, draw: Any) -> dict[str, Tensor]:
        """One value per observation for each of the figure names."""

    def summary(self, means: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """What is logged of the means over a split."""
        return dict(means)

    def validation_step(self, batch: Batch, batch_idx: int) -> Any:
        """What `evaluate` gives; its figures go into the averages of the split."""
        if self._unseen:
            self._check_rows(batch)
        draw = self.evaluate(batch, batch_idx * self.trainer.world_size + self.global_rank)
        self.averages.update(self.figures(draw))
        return draw

    def test_step(self, batch: Batch, batch_idx: int) -> Any:
        """What `validation_step` gives."""
        return self.validation_step(batch, batch_idx)

    def on_validation_epoch_start(self) -> None:
        """Begin a split, unless training has failed by now."""
        self.check_losses()
        self.averages.reset()

    def on_validation_epoch_end(self) -> None:
        """Log the split's figures."""
        self._log_summary("val")

    def on_test_epoch_start(self) -> None:
        """Begin a split."""
        self.averages.reset()

    def on_test_epoch_end(self) -> None:
        """Log the split's figures."""
        self._log_summary("test")

    def _log_summary(self, split: str) -> None:
        if self.trainer.state.fn != "fit" and self.trained_steps:
            # by this name Lightning takes the step that the figures are written at, which is 0 otherwise
            self.log("step", float(self.trained_steps - 1), sync_dist=True)
        for name, value in self.summary(self.averages.compute()).items():
            # merged over processes already: "synchronising" equal values leaves them as they are
            self.log(f"{split}/{name}", value.float(), prog_bar=name == "nelbo", sync_dist=True)

    # -- checkpoints ---------------------------------------------------------------------------------------------

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Keep the seed; refuse to write weights that are not finite, or that have a loss behind them which is not."""
        check_parameters(self)
        self.check_losses()
        checkpoint["seed"] = self.seed
        checkpoint["given_as_objects"] = self.given_as_objects
        if self.specified:
            checkpoint["specified"] = self.specified
        if self.preparation is not None:
            with suppress(Unspecified):  # a tokeniser that nobody can import
                checkpoint["preparation"] = specification(self.preparation)

    @classmethod
    def check_given(cls, content: Mapping[str, Any], path: Path, given: Mapping[str, Any]) -> None:
        """ValueError if the model was built in Python from objects that are not given again."""
        check_objects(content.get("given_as_objects", []), given, path)

    def read_preparation(self, content: Mapping[str, Any], path: Path, trust: Sequence[str] = ()) -> None:
        """Read other data as those of the checkpoint's training were."""
        self.preparation = kept_preparation(content, path, trust)

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Continue under the seed the run began with; what was learnt is not started anew by a later `fit`."""
        widen(self)
        self.started = True
        self.trained_steps = checkpoint.get("global_step", 0)
        self.seed = checkpoint.get("seed", self.seed)
