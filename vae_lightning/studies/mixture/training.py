"""A model of the artificial example -> the same trained, with its exact figures after every epoch."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import lightning.pytorch as pl
from lightning.pytorch.callbacks import RichProgressBar

from vae_lightning.callbacks.phases.freeze import Freeze
from vae_lightning.consistency import tight_vae
from vae_lightning.data.processes import GaussianMixture
from vae_lightning.data.synthetic import Synthetic
from vae_lightning.latent_variable import LatentVariableModel
from vae_lightning.models import MRFVAE, RBM, VAE
from vae_lightning.studies.mixture.exact import Exact, exact
from vae_lightning.training import trainer

TRAINING_SIZE, BATCH_SIZE = 102_400, 256
EPOCH_STEPS = TRAINING_SIZE // BATCH_SIZE


@dataclass(frozen=True)
class Trained:
    """A model, its exact figures after every epoch, and the steps it was trained for."""

    model: LatentVariableModel
    history: list[Exact]
    steps: int


def train(module: VAE | MRFVAE | RBM, process: GaussianMixture, epochs: int, seed: int, logs: Path) -> Trained:
    """Train an RBM for so many epochs, a VAE for as many twice: in the first of them the decoder stays at the truth."""
    watch, phases = ExactFigures(process), 1 if isinstance(module, RBM) else 2
    freeze = [Freeze("model.decoder", epochs * EPOCH_STEPS)] if phases == 2 else []
    run = trainer(
        logs,
        accelerator="cpu",
        max_epochs=phases * epochs,
        limit_val_batches=0,  # the figures are exact: nothing is left for validation data to estimate
        callbacks=[*freeze, watch, RichProgressBar(refresh_rate=20)],
    )
    run.fit(module, Synthetic(process, (TRAINING_SIZE, 1, 1), seed, BATCH_SIZE))
    return Trained(as_vae(module), watch.history, run.global_step)


def as_vae(module: VAE | MRFVAE | RBM) -> LatentVariableModel:
    """A VAE's own model; of an RBM, the tight VAE that it is (Theorem 1), whose ELBO is its log-likelihood."""
    return tight_vae(module.model) if isinstance(module, RBM) else module.model


class ExactFigures(pl.Callback):
    """Logs the exact expected ELBO and log-likelihood after every epoch, and keeps them, one `Exact` per epoch."""

    def __init__(self, process: GaussianMixture) -> None:
        self.process = process
        self.history: list[Exact] = []

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: VAE | MRFVAE | RBM) -> None:  # type: ignore[override]
        """Compute them by quadrature: no sample, no noise."""
        now = exact(as_vae(pl_module), self.process)
        self.history.append(now)
        pl_module.log_dict({"exact/elbo": now.elbo, "exact/log_likelihood": now.log_likelihood}, prog_bar=True)
