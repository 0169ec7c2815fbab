"""A cell of the study of priors -> its VAE trained, its best epoch chosen by validation, and tested: figures."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import lightning.pytorch as pl
from lightning.pytorch.callbacks import ModelCheckpoint

from vae_lightning.callbacks import LogLikelihood
from vae_lightning.data import Digits, DynamicBinarisation
from vae_lightning.studies.cell_study import logs
from vae_lightning.studies.priors.cell import Cell, PriorsSize
from vae_lightning.studies.priors.generated import Judged, from_pseudo_inputs
from vae_lightning.studies.store import Figures
from vae_lightning.training import trainer
from vae_lightning.trust import read_checkpoint

VALIDATE_EVERY = 10  # epochs


def train_and_judge(cell: Cell, size: PriorsSize, seed: int, folder: Path) -> Judged:
    """Train one model, take the epoch of the best validation log-likelihood, and test it."""
    pl.seed_everything(seed, verbose=False)
    module, data = cell.build(size.epochs), Digits(DynamicBinarisation())
    best = ModelCheckpoint(folder, "best", "val/log_likelihood", mode="max", enable_version_counter=False)
    run = trainer(
        logger=logs(folder),
        max_epochs=size.epochs,
        check_val_every_n_epoch=VALIDATE_EVERY,
        callbacks=[
            best,
            LogLikelihood((1, size.samples), (1, 50), every_n_epochs=1),
            *cell.diagnostics(),
        ],
    )
    run.fit(module, data)
    steps = run.global_step
    selected = read_checkpoint(Path(best.best_model_path))
    module.load_state_dict(selected["state_dict"])
    run.test(module, data, verbose=False)
    figures = run.callback_metrics.items()
    tested = {name.removeprefix("test/"): float(value) for name, value in figures if name.startswith("test/")}
    judged = of_one_source(tested, cell.terms) | {"steps": steps, "best_step": selected["global_step"]}
    return Judged(judged, from_pseudo_inputs(module.model, seed))


def of_one_source(figures: Figures, terms: Sequence[str]) -> Figures:
    """The figures, their ELBO the sum of its terms, over the same samples of z; `LogLikelihood`'s is of others."""
    return figures | {"elbo": -sum(figures[term] for term in terms), "elbo_of_weights": figures["elbo"]}
