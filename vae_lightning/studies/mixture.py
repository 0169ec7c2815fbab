"""The artificial example (VAE Approximation Error, 2022, section 4.1): what a factorised encoder does to a decoder."""

from __future__ import annotations

import time
from functools import partial
from pathlib import Path

import lightning.pytorch as pl
import torch
from lightning.pytorch.callbacks import RichProgressBar
from lightning.pytorch.loggers import TensorBoardLogger
from torch.optim.lr_scheduler import CosineAnnealingWarmRestarts

from vae_lightning.callbacks.base import tensorboard
from vae_lightning.callbacks.freeze import Freeze
from vae_lightning.data.processes import GaussianMixture
from vae_lightning.data.synthetic import Synthetic
from vae_lightning.estimators import Enumerated
from vae_lightning.families import Bernoulli, Normal
from vae_lightning.models import VAE
from vae_lightning.nn import MLP
from vae_lightning.nn.one_hot import OneHotLinear
from vae_lightning.objectives import ELBO
from vae_lightning.studies import Scale
from vae_lightning.studies.base import Report, Row, announce, environment
from vae_lightning.studies.exact import Figures, figures
from vae_lightning.studies.mixture_figure import as_image, mixture_figure

PHASE_EPOCHS: dict[Scale, int] = {"quick": 3, "medium": 15, "full": 60}
"""Epochs of the pre-training, and as many of the joint training."""

TRAINING_SIZE, BATCH_SIZE = 102_400, 256
EPOCH_STEPS = TRAINING_SIZE // BATCH_SIZE


def mixture(scale: Scale, out: Path, seed: int) -> list[Row]:
    """Pre-train the encoder on the true decoder, then train both; judge every step of the way by quadrature.

    Writes results.json, table.md, figure2.png and TensorBoard logs into `out`, and returns the rows.
    """
    out.mkdir(parents=True, exist_ok=True)
    began, epochs, process = time.perf_counter(), PHASE_EPOCHS[scale], GaussianMixture()
    pl.seed_everything(seed, verbose=False)
    module, watch = mixture_vae(process, epochs), ExactFigures(process)
    trainer = pl.Trainer(
        accelerator="cpu",
        devices=1,
        max_epochs=2 * epochs,
        limit_val_batches=0,  # the figures are exact: nothing is left for validation data to estimate
        callbacks=[Freeze("model.decoder", epochs * EPOCH_STEPS), watch, RichProgressBar(refresh_rate=20)],
        logger=TensorBoardLogger(out / "tensorboard", name=""),
        enable_checkpointing=False,
        enable_model_summary=False,
        use_distributed_sampler=False,
        log_every_n_steps=20,
    )
    trainer.fit(module, Synthetic(process, (TRAINING_SIZE, 1, 1), seed, BATCH_SIZE))

    picture = mixture_figure(process, module.model)
    picture.savefig(out / "figure2.png")
    if writer := tensorboard(trainer):
        writer.add_image("mixture/figure2", as_image(picture), trainer.global_step, dataformats="HWC")
        writer.flush()
    rows = table(process, pretrained=watch.history[epochs - 1], joint=watch.history[-1])
    provenance = {"scale": scale, "seed": seed, "steps": trainer.global_step} | environment()
    provenance["seconds"] = round(time.perf_counter() - began)
    report = Report("Artificial example (VAE Approximation Error, section 4.1)", rows, provenance)
    report.write(out)
    announce(report, out, "figure2.png")
    return rows


def mixture_vae(process: GaussianMixture, phase_epochs: int) -> VAE:
    """The experiment's model, as in configs/mixture.yaml: two factorised bits, a decoder that starts at the truth."""
    return VAE(
        latent=Bernoulli(2),
        observed=Normal(2, scale=process.sigma),
        encoder=partial(MLP, hidden=(64, 64)),
        decoder=partial(OneHotLinear, weight=process.centers.tolist()),
        objective=ELBO(Enumerated()),
        optimizer=partial(torch.optim.Adam, lr=0.01),
        scheduler=partial(CosineAnnealingWarmRestarts, T_0=phase_epochs),
    )


class ExactFigures(pl.Callback):
    """Logs the exact expected ELBO and log-likelihood after every epoch, and keeps them, one `Figures` per epoch."""

    def __init__(self, process: GaussianMixture) -> None:
        self.process = process
        self.history: list[Figures] = []

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: VAE) -> None:  # type: ignore[override]
        """By quadrature: no sample, no noise."""
        now = figures(pl_module.model, self.process)
        self.history.append(now)
        pl_module.log_dict({"exact/elbo": now.elbo, "exact/log_likelihood": now.log_likelihood}, prog_bar=True)


def table(process: GaussianMixture, pretrained: Figures, joint: Figures) -> list[Row]:
    """Our figures beside those of the paper's Appendix C.1."""
    nodes, weights = process.quadrature()
    truth = float(weights @ process.log_prob(nodes))
    row = partial(Row, stderr=0.0, unit="nats")
    return [
        row("ground truth", "log_likelihood", truth, paper=-3.65),
        row("encoder pre-trained, decoder fixed", "elbo", pretrained.elbo, paper=-3.74),
        row("encoder and decoder trained", "elbo", joint.elbo, paper=-3.70),
        row("encoder and decoder trained", "log_likelihood", joint.log_likelihood, paper=-3.68),
        row("encoder and decoder trained", "approximation_error", truth - joint.log_likelihood, paper=0.03),
    ]
