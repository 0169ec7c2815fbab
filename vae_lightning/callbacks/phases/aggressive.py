"""AggressiveInference: tells an `Aggressive` objective what it decides by."""

from __future__ import annotations

from collections.abc import Mapping

import lightning.pytorch as pl
from lightning.pytorch.utilities.types import STEP_OUTPUT
from torch import Tensor

from vae_lightning import metrics
from vae_lightning.batches import Batch, observations
from vae_lightning.callbacks.base import MetricDiagnostic
from vae_lightning.latent_variable import Draw
from vae_lightning.models.protocols import part
from vae_lightning.objectives.turns.aggressive import Aggressive
from vae_lightning.process.trainers import is_logged


class AggressiveInference(MetricDiagnostic):
    """Runs `objectives.Aggressive`: the encoder to convergence before each step of the decoder (He et al. 2019).

    After each training step the objective learns its loss; after each validation I_q(x; z), in nats: the mean KL of the
    posteriors less that of their mixture from the prior, on the validation data, by ELBO surgery. Logs
    `train/aggressive`, 1 while the encoder leads and 0 from then on, and `val/information`. Costs the densities of
    N x N validation codes an epoch. What it decides is kept in the objective's buffers, hence in checkpoints.

    TypeError unless the model's objective is `Aggressive`; ValueError on several processes.

    Source: He, Spokoyny, Neubig, Berg-Kirkpatrick, Lagging Inference Networks and Posterior Collapse in Variational
    Autoencoders (2019), Algorithm 1.
    """

    def __init__(self) -> None:
        super().__init__(metrics.ELBOSurgery())

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Find the objective."""
        objective = part(pl_module, "objective")
        if not isinstance(objective, Aggressive):
            name = type(objective).__name__
            raise TypeError(
                f"AggressiveInference runs the objective Aggressive, the model's is {name}: wrap it so, as "
                f"Aggressive({name}(...))"
            )
        if trainer.world_size > 1:
            raise ValueError("Aggressive decides by the losses of one process: use devices: 1")
        objective.listen()
        self.objective = objective

    def teardown(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Another run may be without this callback."""
        self.objective.listen(False)

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: STEP_OUTPUT, batch: Batch, batch_idx: int
    ) -> None:
        """Tell the step's loss."""
        loss = outputs["loss"] if isinstance(outputs, Mapping) else outputs
        assert isinstance(loss, Tensor), "a training step gives its loss"
        self.objective.observe_loss(loss.detach())
        if is_logged(trainer, trainer.global_step - 1):
            pl_module.log("train/aggressive", self.objective.aggressive.float(), batch_size=len(observations(batch)))

    def observe(self, trainer: pl.Trainer, module: pl.LightningModule, draw: Draw, batch: Batch) -> None:
        """Keep the posteriors and the samples of the batch."""
        self.metric.update(draw.posterior, draw.prior, draw.z)

    def report(self, trainer: pl.Trainer, module: pl.LightningModule, split: str) -> None:
        """Log the information; in a fit, tell it."""
        information = self.metric.compute()["mutual_information"]
        assert isinstance(information, Tensor)
        module.log(f"{split}/information", information.float(), sync_dist=True)
        if trainer.state.fn == "fit":
            self.objective.observe_information(information)
