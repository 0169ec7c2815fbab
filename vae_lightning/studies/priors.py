"""Priors and objectives on digits: what the slides say of them, measured: likelihood, the terms of surgery, units."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import lightning.pytorch as pl
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.loggers import TensorBoardLogger
from rich.progress import track

from vae_lightning.callbacks import ActiveUnits, AtomicCheckpointIO, ELBOSurgery, LogLikelihood
from vae_lightning.data import Digits, DynamicBinarisation
from vae_lightning.estimators import Reparameterised
from vae_lightning.families import Bernoulli, Normal
from vae_lightning.models import GaussianVAE
from vae_lightning.nn import MLP
from vae_lightning.objectives import ELBO, IWAE, AnalyticELBO, Objective
from vae_lightning.priors import AggregatedPosterior, FactorisedPrior, MixturePrior, Prior, VampPrior
from vae_lightning.studies import Scale
from vae_lightning.studies.base import Report, Row, announce, wide
from vae_lightning.studies.cells import Account, Figures, finished
from vae_lightning.studies.figures import publish
from vae_lightning.studies.priors_figure import TERMS, priors_figure
from vae_lightning.trust import read_checkpoint

LATENT, IMAGE, HIDDEN = 16, (1, 8, 8), (200, 200)
VALIDATE_EVERY = 10  # epochs
SAMPLES = 100  # of z for each digit: what the ELBO and its terms are averages over


@dataclass(frozen=True)
class Size:
    """How much is computed at a scale."""

    epochs: int
    seeds: int
    samples: int  # K of the test log-likelihood


SIZES: dict[Scale, Size] = {"quick": Size(30, 1, 100), "medium": Size(300, 3, 1000), "full": Size(1000, 5, 5000)}

Make = Callable[[], tuple[Objective, Prior]]


def _normal() -> Prior:
    return FactorisedPrior(Normal(LATENT))


CELLS: dict[str, Make] = {
    "standard normal": lambda: (AnalyticELBO(Reparameterised()), _normal()),
    "mixture of 50": lambda: (ELBO(Reparameterised()), MixturePrior(Normal(LATENT), 50)),
    "VampPrior of 100": lambda: (ELBO(Reparameterised()), VampPrior(LATENT, IMAGE, 100)),
    "aggregated posterior of 500": lambda: (ELBO(Reparameterised()), AggregatedPosterior(LATENT, IMAGE, 500)),
    "IWAE, K = 1": lambda: (IWAE(Reparameterised(1)), _normal()),
    "IWAE, K = 5": lambda: (IWAE(Reparameterised(5)), _normal()),
    "IWAE, K = 50": lambda: (IWAE(Reparameterised(50)), _normal()),
}

METRICS: dict[str, str] = {
    "log_likelihood": "nats",
    "elbo": "nats",
    "reconstruction": "nats",
    "mutual_information": "nats",
    "marginal_kl": "nats",
    "active_units": f"of {LATENT}",
}
"""What is reported of the test split; -elbo = reconstruction + mutual information + marginal KL."""


def priors(scale: Scale, out: Path, seed: int) -> list[Row]:
    """Train every cell for every seed, choose the epoch by validation, and judge it on the test split, once.

    Writes results.json, table.md, priors.png, checkpoints and TensorBoard logs into `out`; cells that are finished
    there are not run again. Returns the rows.
    """
    account, size = Account(out / "cells"), SIZES[scale]
    seeds = range(seed, seed + size.seeds)
    figures: dict[str, list[Figures]] = {name: [] for name in CELLS}
    for name, s in track([(name, s) for s in seeds for name in CELLS], "priors on digits"):
        folder = out / "cells" / name.replace(" ", "-").replace(",", "").replace("=-", "") / f"seed-{s}"
        settings = {"scale": scale, "seed": s, "epochs": size.epochs, "samples": size.samples, "terms": SAMPLES}
        figures[name].append(finished(folder, settings, partial(run_cell, CELLS[name], size, s, folder)))
    rows = table(figures)
    publish(priors_figure(figures), out, "priors")
    steps = int(next(iter(figures.values()))[0]["steps"])
    provenance: dict[str, str | int | float] = {
        "scale": scale,
        "seeds": f"{seeds[0]} to {seeds[-1]}",
        "steps a cell": steps,
        "samples of the terms": SAMPLES,
    }
    provenance |= {"K of the log-likelihood": size.samples, "test digits": round(math.exp(_any(figures, "log_n")))}
    title = "Priors and objectives on binary digits: test split"
    report = Report(title, rows, provenance | account.provenance(), wide)
    report.write(out)
    announce(report, out, "priors.png")
    return rows


def run_cell(make: Make, size: Size, seed: int, folder: Path) -> Figures:
    """Train one model, take the epoch of the best validation log-likelihood, and test it."""
    pl.seed_everything(seed, verbose=False)
    objective, prior = make()
    hidden = partial(MLP, hidden=HIDDEN)
    module = GaussianVAE(LATENT, Bernoulli(IMAGE), hidden, hidden, objective, prior, evaluation_samples=SAMPLES)
    best = ModelCheckpoint(folder, "best", "val/log_likelihood", mode="max", enable_version_counter=False)
    watchers = [LogLikelihood((1, size.samples), (1, 50), every_n_epochs=1), ELBOSurgery(every_n_epochs=1)]
    trainer = pl.Trainer(
        accelerator="auto",
        devices=1,
        max_epochs=size.epochs,
        check_val_every_n_epoch=VALIDATE_EVERY,
        callbacks=[best, *watchers, ActiveUnits(every_n_epochs=1)],
        plugins=[AtomicCheckpointIO()],
        logger=TensorBoardLogger(folder, "tensorboard", version=""),
        enable_progress_bar=False,
        enable_model_summary=False,
        use_distributed_sampler=False,
        num_sanity_val_steps=0,
        log_every_n_steps=20,
    )
    data = Digits(DynamicBinarisation())
    trainer.fit(module, data)
    steps = trainer.global_step
    selected = read_checkpoint(Path(best.best_model_path))
    module.load_state_dict(selected["state_dict"])
    trainer.test(module, data, verbose=False)
    figures = trainer.callback_metrics.items()
    tested = {name.removeprefix("test/"): float(value) for name, value in figures if name.startswith("test/")}
    return of_one_source(tested) | {"steps": steps, "best_step": selected["global_step"]}


def of_one_source(figures: Figures) -> Figures:
    """With the ELBO as the sum of its terms, averages over the same samples of z; `LogLikelihood`'s is of others."""
    return figures | {"elbo": -sum(figures[term] for term in TERMS), "elbo_of_weights": figures["elbo"]}


def table(figures: Mapping[str, Sequence[Figures]]) -> list[Row]:
    """Means over seeds with the error over seeds; of a single seed, with that over its test digits."""
    rows = []
    for cell, runs in figures.items():
        for metric, unit in METRICS.items():
            values = [run[metric] for run in runs]
            if len(values) > 1:
                error: float | None = statistics.stdev(values) / math.sqrt(len(values))
            else:
                error = runs[0].get(f"{metric}_error")
            rows.append(Row(cell, metric, statistics.mean(values), error, None, unit))
    return rows


def _any(figures: Mapping[str, Sequence[Figures]], name: str) -> float:
    return next(iter(figures.values()))[0][name]
