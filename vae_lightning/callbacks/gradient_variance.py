"""GradientVariance: the noise of the encoder's gradient as a TensorBoard scalar."""

from __future__ import annotations

import lightning.pytorch as pl
import torch

from vae_lightning.batches import Batch, observations
from vae_lightning.callbacks.requirements import require_latent_variable_model, require_objective
from vae_lightning.models.protocols import part
from vae_lightning.objectives.gradient_variance import gradient_variance
from vae_lightning.randomness import seeded


class GradientVariance(pl.Callback):
    """Logs `train/gradient_variance`: total variance of the encoder's gradient over `num_draws` draws of one batch.

    Compare estimators on your own model: the same batch, the same weights, only the estimator's noise differs. Costs
    `num_draws` training steps every `every_n_steps`; the weights after training are the same with and without it.
    TypeError at setup for a model without encoder, decoder and prior, or without an objective.
    """

    def __init__(self, every_n_steps: int = 500, num_draws: int = 20) -> None:
        if every_n_steps < 1:
            raise ValueError(f"GradientVariance needs every_n_steps >= 1, got {every_n_steps}")
        if num_draws < 2:
            raise ValueError(f"GradientVariance needs num_draws >= 2, got {num_draws}")
        self.every_n_steps, self.num_draws = every_n_steps, num_draws

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Say before the first step that there is no encoder, or no objective that it is trained by."""
        require_latent_variable_model(self, pl_module)
        require_objective(self, pl_module)

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Batch, batch_idx: int
    ) -> None:
        """Measure before the step's own seed is set, so that the step draws what it would have drawn."""
        if trainer.global_step % self.every_n_steps:
            return
        model = require_latent_variable_model(self, pl_module)
        encoder, objective = part(model, "encoder"), require_objective(self, pl_module)
        parameters = [p for p in encoder.parameters() if p.requires_grad] if encoder is not None else []
        if not parameters:
            return
        with seeded(type(self).__name__, trainer.global_step):
            variance, _ = gradient_variance(
                objective.at(trainer.global_step), model, observations(batch), parameters, self.num_draws
            )
        trainer.callback_metrics["train/gradient_variance"] = torch.tensor(variance)
        for logger in trainer.loggers:
            logger.log_metrics({"train/gradient_variance": variance}, trainer.global_step)
