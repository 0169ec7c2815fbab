"""A cell of the study of priors -> its VAE trained, its best epoch chosen by validation, and tested: figures."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import lightning.pytorch as pl

from vae_lightning.callbacks import LogLikelihood
from vae_lightning.data import Digits, DynamicBinarisation
from vae_lightning.studies.cell_study import logs
from vae_lightning.studies.priors.cell import Cell, PriorsSize
from vae_lightning.studies.priors.generated import Judged, from_pseudo_inputs
from vae_lightning.studies.provenance import Settings
from vae_lightning.studies.store import Figures
from vae_lightning.studies.trainings import Trainings, keep_best
from vae_lightning.training import trainer


def train_and_judge(cell: Cell, size: PriorsSize, seed: int, folder: Path, settings: Settings) -> Judged:
    """Train one model, take the epoch of the best validation log-likelihood, and test it.

    A training that is killed goes on in its last epoch; `settings` are what it depends on.
    """
    pl.seed_everything(seed, verbose=False)
    module, data = cell.build(size.epochs), Digits(DynamicBinarisation())
    trainings = Trainings(folder, settings, options={"check_val_every_n_epoch": size.validate_every})
    trainings.fit(module, data, size.epochs, [keep_best("val/log_likelihood", "max"), *_watchers(cell, size)])
    steps, selected = module.trained_steps, trainings.restore_best(module)
    run = trainer(logger=logs(folder), callbacks=_watchers(cell, size))
    run.test(module, data, verbose=False)
    figures = run.callback_metrics.items()
    tested = {name.removeprefix("test/"): float(value) for name, value in figures if name.startswith("test/")}
    judged = of_one_source(tested, cell.terms) | {"steps": steps, "best_step": selected["global_step"]}
    return Judged(judged, from_pseudo_inputs(module.model, seed))


def _watchers(cell: Cell, size: PriorsSize) -> list[pl.Callback]:
    return [LogLikelihood((1, size.samples), (1, 50), every_n_epochs=1), *cell.diagnostics()]


def of_one_source(figures: Figures, terms: Sequence[str]) -> Figures:
    """The figures, their ELBO the sum of its terms, over the same samples of z; `LogLikelihood`'s is of others."""
    return figures | {"elbo": -sum(figures[term] for term in terms), "elbo_of_weights": figures["elbo"]}
