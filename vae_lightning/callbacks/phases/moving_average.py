"""ExponentialMovingAverage: the weights of all steps -> their average, which is validated, saved and sampled."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import lightning.pytorch as pl
import torch
from lightning.pytorch.callbacks import WeightAveraging
from lightning.pytorch.utilities.types import STEP_OUTPUT
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.optim.swa_utils import get_ema_multi_avg_fn

from vae_lightning.batches import Batch
from vae_lightning.models import Ensemble
from vae_lightning.models.phased import Phased


class ExponentialMovingAverage(WeightAveraging):
    """Averages the weights of all steps, average := decay average + (1 - decay) weights: what a GAN is judged by.

    Training goes on with the weights themselves. Validation with its figures and pictures, the `state_dict` of every
    checkpoint (of `best.ckpt`, and what `vae_lightning.load` gives) and the model at the end of a fit have the average;
    the running statistics of BatchNorm are averaged with them, since those of the last weights are not the average's;
    other buffers are those of the last step. A checkpoint has the weights beside it, by which a run goes on exactly.

    Where a model trains in phases, as `LiBI`, each phase ends with its average, which the next begins from, and a new
    average begins: so the encoder is fitted to the averaged generator.

    It is Lightning's `WeightAveraging` with torch's average, over all parameters. Costs a pass over the weights a step,
    and their memory twice. ValueError unless 0 <= decay < 1; TypeError for an `Ensemble`.

    Source: Yazici et al., The Unusual Effectiveness of Averaging in GAN Training (2019).

    Args:
        decay: the average is over about 1 / (1 - decay) steps; it begins with the weights after the first.
    """

    def __init__(self, decay: float = 0.999) -> None:
        if not 0 <= decay < 1:
            raise ValueError(f"ExponentialMovingAverage needs 0 <= decay < 1, got {decay}")
        super().__init__(use_buffers=False, multi_avg_fn=get_ema_multi_avg_fn(decay))
        self.decay = decay

    def __repr__(self) -> str:
        return f"ExponentialMovingAverage(decay={self.decay})"

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Copy the model, before it trains; TypeError for an Ensemble."""
        if isinstance(pl_module, Ensemble):
            raise TypeError(
                "ExponentialMovingAverage would average the best weights that an Ensemble keeps of its members with "
                "all others: train such models one at a time, or leave it out"
            )
        super().setup(trainer, pl_module, stage)
        if self._average_model is not None:
            if str(trainer.precision) == "64-true":  # Lightning widens the model itself later
                self._average_model.double()
            # counted where no step waits for the device
            self._average_model.n_averaged = torch.zeros_like(self._average_model.n_averaged, device="cpu")

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: STEP_OUTPUT, batch: Batch, batch_idx: int
    ) -> None:
        """Add the weights after a step; end a phase with its average."""
        assert self._average_model is not None, "a fit has an average"
        before, begun = self._latest_update_step, int(self._average_model.n_averaged) > 0
        statistics = running_statistics(self._average_model) if begun else []
        kept = [each.clone() for each in statistics]
        super().on_train_batch_end(trainer, pl_module, outputs, batch, batch_idx)
        step = self._latest_update_step
        if step > before and statistics:
            torch._foreach_lerp_(statistics, kept, self.decay)
        ended = step > before and isinstance(pl_module, Phased) and _ends_phase(pl_module, step)
        if ended:
            self._copy_average_to_current(pl_module)
            self._average_model.n_averaged.zero_()

    def on_validation_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Put the average in the model's place, until all callbacks have reported."""
        if self._average_model is not None:
            self._begin_from(pl_module)
            self._swap_models(pl_module)

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Put the weights back, before a checkpoint is written."""
        if self._average_model is not None:
            self._swap_models(pl_module)

    def on_validation_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Nothing: done before."""

    def on_validation_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Nothing: callbacks have yet to report."""

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Leave the average in the model."""
        self._begin_from(pl_module)
        super().on_train_end(trainer, pl_module)

    def on_save_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Save the average as the model, and the weights beside it; outside a fit the model is all there is."""
        if self._average_model is not None:
            self._begin_from(pl_module)
            super().on_save_checkpoint(trainer, pl_module, checkpoint)

    def on_load_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Go on with the weights; outside a fit the average is what is wanted, and is there already."""
        if self._average_model is not None:
            super().on_load_checkpoint(trainer, pl_module, checkpoint)

    def teardown(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Let go of the copy: what is saved or validated after a fit is the model."""
        self._average_model = None

    def _swap_models(self, pl_module: pl.LightningModule) -> None:
        """Exchange what is averaged alone: what a validation writes into other buffers stays with the model."""
        for average, current in self._pairs(pl_module):
            kept = average.data.clone()
            average.data.copy_(current.data)
            current.data.copy_(kept)

    def _copy_average_to_current(self, pl_module: pl.LightningModule) -> None:
        """Likewise."""
        for average, current in self._pairs(pl_module):
            current.data.copy_(average.data)

    def _pairs(self, module: pl.LightningModule) -> Iterator[tuple[Tensor, Tensor]]:
        """What is averaged, in the average and in the model."""
        assert self._average_model is not None, "a fit has an average"
        averaged, present = (
            [*each.parameters(), *running_statistics(each)] for each in (self._average_model.module, module)
        )
        return zip(averaged, present, strict=True)

    def _begin_from(self, module: pl.LightningModule) -> None:
        """While nothing is averaged yet, the average is the model itself."""
        assert self._average_model is not None, "a fit has an average"
        if self._average_model.n_averaged == 0:
            self._average_model.module.load_state_dict(module.state_dict())


def _ends_phase(module: Phased, step: int) -> bool:
    """Whether a phase is over after so many steps."""
    return module.begins_phase(step) or module.ends_repeat(step)


def running_statistics(module: nn.Module) -> list[Tensor]:
    """Mean and variance of every BatchNorm that keeps them."""
    layers = [each for each in module.modules() if isinstance(each, _BatchNorm)]
    kept = [each for layer in layers for each in (layer.running_mean, layer.running_var)]
    return [each for each in kept if each is not None]
