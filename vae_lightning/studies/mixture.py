"""The artificial example (VAE Approximation Error, 2022, section 4.1): what a factorised encoder does to a decoder."""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import lightning.pytorch as pl
from lightning.pytorch.callbacks import RichProgressBar
from lightning.pytorch.loggers import TensorBoardLogger

from vae_lightning.callbacks.base import tensorboard
from vae_lightning.callbacks.freeze import Freeze
from vae_lightning.consistency import tight_vae
from vae_lightning.data.processes import GaussianMixture
from vae_lightning.data.synthetic import Synthetic
from vae_lightning.latent_variable import LatentVariableModel
from vae_lightning.models import MRFVAE, RBM, VAE
from vae_lightning.studies import Scale
from vae_lightning.studies.base import Report, Row, announce, environment
from vae_lightning.studies.exact import Figures, figures
from vae_lightning.studies.mixture_figure import as_image, mixture_figure
from vae_lightning.studies.mixture_models import mixture_mrf, mixture_rbm, mixture_vae

PHASE_EPOCHS: dict[Scale, int] = {"quick": 3, "medium": 6, "full": 60}
"""Epochs of a VAE's pre-training, and as many of its joint training; of the RBM's only training."""

TRAINING_SIZE, BATCH_SIZE = 102_400, 256
EPOCH_STEPS = TRAINING_SIZE // BATCH_SIZE


def mixture(scale: Scale, out: Path, seed: int) -> list[Row]:
    """Pre-train each encoder on the true decoder, then train both, then an RBM; judge all of them by quadrature.

    Writes results.json, table.md, figure2.png and TensorBoard logs into `out`, and returns the rows.
    """
    out.mkdir(parents=True, exist_ok=True)
    began, epochs, process = time.perf_counter(), PHASE_EPOCHS[scale], GaussianMixture()
    logs = partial(TensorBoardLogger, out / "tensorboard")
    pl.seed_everything(seed, verbose=False)
    factorised = train(mixture_vae(process, epochs), process, seed, logs(name=""))
    coupled = train(mixture_mrf(process, epochs), process, seed, logs(name="mrf"))
    rbm = train(mixture_rbm(process, epochs), process, seed, logs(name="rbm"))

    picture = mixture_figure(process, factorised.model, coupled.model, rbm.model)
    picture.savefig(out / "figure2.png")
    if writer := tensorboard(factorised.trainer):
        writer.add_image("mixture/figure2", as_image(picture), factorised.trainer.global_step, dataformats="HWC")
        writer.flush()
    rows = table(process, *(trained.history for trained in (factorised, coupled, rbm)))
    steps = f"{factorised.trainer.global_step} a VAE, {rbm.trainer.global_step} the RBM"
    provenance: dict[str, str | int | float] = {"scale": scale, "seed": seed, "steps": steps}
    provenance |= environment() | {"seconds": round(time.perf_counter() - began)}
    report = Report("Artificial example (VAE Approximation Error, section 4.1)", rows, provenance)
    report.write(out)
    announce(report, out, "figure2.png")
    return rows


@dataclass(frozen=True)
class Trained:
    """A model, its exact figures after every epoch, and the trainer that trained it."""

    model: LatentVariableModel
    history: list[Figures]
    trainer: pl.Trainer


def train(module: VAE | MRFVAE | RBM, process: GaussianMixture, seed: int, logger: TensorBoardLogger) -> Trained:
    """A VAE in two phases, in the first of which the decoder stays at the truth; an RBM in one, equally long."""
    phase = module.scheduler.keywords["T_0"]  # type: ignore[union-attr]  # mixture_models gives them one
    watch, phases = ExactFigures(process), 1 if isinstance(module, RBM) else 2
    freeze = [Freeze("model.decoder", phase * EPOCH_STEPS)] if phases == 2 else []
    trainer = pl.Trainer(
        accelerator="cpu",
        devices=1,
        max_epochs=phases * phase,
        limit_val_batches=0,  # the figures are exact: nothing is left for validation data to estimate
        callbacks=[*freeze, watch, RichProgressBar(refresh_rate=20)],
        logger=logger,
        enable_checkpointing=False,
        enable_model_summary=False,
        use_distributed_sampler=False,
        log_every_n_steps=20,
    )
    trainer.fit(module, Synthetic(process, (TRAINING_SIZE, 1, 1), seed, BATCH_SIZE))
    return Trained(as_vae(module), watch.history, trainer)


def as_vae(module: VAE | MRFVAE | RBM) -> LatentVariableModel:
    """A VAE's own model; of an RBM, the tight VAE that it is (Theorem 1), whose ELBO is its log-likelihood."""
    return tight_vae(module.model) if isinstance(module, RBM) else module.model


class ExactFigures(pl.Callback):
    """Logs the exact expected ELBO and log-likelihood after every epoch, and keeps them, one `Figures` per epoch."""

    def __init__(self, process: GaussianMixture) -> None:
        self.process = process
        self.history: list[Figures] = []

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: VAE | MRFVAE | RBM) -> None:  # type: ignore[override]
        """By quadrature: no sample, no noise."""
        now = figures(as_vae(pl_module), self.process)
        self.history.append(now)
        pl_module.log_dict({"exact/elbo": now.elbo, "exact/log_likelihood": now.log_likelihood}, prog_bar=True)


def table(process: GaussianMixture, factorised: list[Figures], coupled: list[Figures], rbm: list[Figures]) -> list[Row]:
    """Our figures beside those of the paper's Appendix C.1; it has none for the MRF encoder and the RBM."""
    nodes, weights = process.quadrature()
    truth = float(weights @ process.log_prob(nodes))
    row = partial(Row, stderr=0.0, unit="nats", paper=None)
    rows = [row("ground truth", "log_likelihood", truth, paper=-3.65)]
    for cell, history, papers in (
        ("", factorised, (-3.74, -3.70, -3.68, 0.03)),
        ("MRF ", coupled, (None, None, None, None)),
    ):
        pretrained, joint = history[len(history) // 2 - 1], history[-1]
        fixed, both = f"{cell}encoder pre-trained, decoder fixed", f"{cell}encoder and decoder trained"
        rows += [
            row(fixed, "elbo", pretrained.elbo, paper=papers[0]),
            row(both, "elbo", joint.elbo, paper=papers[1]),
            row(both, "log_likelihood", joint.log_likelihood, paper=papers[2]),
            row(both, "approximation_error", truth - joint.log_likelihood, paper=papers[3]),
        ]
    likelihood = rbm[-1].log_likelihood
    return [
        *rows,
        row("RBM, maximum likelihood", "log_likelihood", likelihood),
        row("RBM, maximum likelihood", "approximation_error", truth - likelihood),
    ]
