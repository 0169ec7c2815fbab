"""A cell of the study of priors -> its VAE trained, its best epoch chosen by validation, and tested: figures."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import lightning.pytorch as pl
from lightning.pytorch.callbacks import ModelCheckpoint

from vae_lightning.callbacks import ActiveUnits, ELBOSurgery, LogLikelihood
from vae_lightning.data import Digits, DynamicBinarisation
from vae_lightning.families import Bernoulli
from vae_lightning.models import GaussianVAE
from vae_lightning.nn import MLP
from vae_lightning.studies.cell_study import logs
from vae_lightning.studies.priors.cell import IMAGE, LATENT, SAMPLES, TERMS, Cell, PriorsSize
from vae_lightning.studies.store import Figures
from vae_lightning.training import trainer
from vae_lightning.trust import read_checkpoint

HIDDEN = (200, 200)
VALIDATE_EVERY = 10  # epochs


def model_of(cell: Cell) -> GaussianVAE:
    """The cell's model, untrained."""
    objective, prior = cell.make()
    hidden = partial(MLP, hidden=HIDDEN)
    return GaussianVAE(LATENT, Bernoulli(IMAGE), hidden, hidden, objective, prior, evaluation_samples=SAMPLES)


def train_and_judge(cell: Cell, size: PriorsSize, seed: int, folder: Path) -> Figures:
    """Train one model, take the epoch of the best validation log-likelihood, and test it."""
    pl.seed_everything(seed, verbose=False)
    module, data = model_of(cell), Digits(DynamicBinarisation())
    best = ModelCheckpoint(folder, "best", "val/log_likelihood", mode="max", enable_version_counter=False)
    run = trainer(
        logger=logs(folder),
        max_epochs=size.epochs,
        check_val_every_n_epoch=VALIDATE_EVERY,
        callbacks=[
            best,
            LogLikelihood((1, size.samples), (1, 50), every_n_epochs=1),
            ELBOSurgery(every_n_epochs=1),
            ActiveUnits(every_n_epochs=1),
        ],
    )
    run.fit(module, data)
    steps = run.global_step
    selected = read_checkpoint(Path(best.best_model_path))
    module.load_state_dict(selected["state_dict"])
    run.test(module, data, verbose=False)
    figures = run.callback_metrics.items()
    tested = {name.removeprefix("test/"): float(value) for name, value in figures if name.startswith("test/")}
    return of_one_source(tested) | {"steps": steps, "best_step": selected["global_step"]}


def of_one_source(figures: Figures) -> Figures:
    """The figures, their ELBO the sum of its terms, over the same samples of z; `LogLikelihood`'s is of others."""
    return figures | {"elbo": -sum(figures[term] for term in TERMS), "elbo_of_weights": figures["elbo"]}
