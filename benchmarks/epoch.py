"""What an epoch on Digits loses to all callbacks that fit its model, at their default intervals.

    OMP_NUM_THREADS=1 python benchmarks/epoch.py

The model and the data of configs/digits/vae.yaml, 50 epochs, with the command's own logger, progress bar and
checkpoints on both sides. Each callback's row is of what is spent in its evaluation hooks, of the whole epoch without
any; what is left of the sum is the Trainer, which asks them all at each of its hooks.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import torch
from comparisons import Comparison, Costs, Row, Share, in_turns, main
from lightning.pytorch.callbacks import ModelCheckpoint
from torch import nn

from vae_lightning import callbacks
from vae_lightning.data import Digits, DynamicBinarisation
from vae_lightning.estimators import Reparameterised
from vae_lightning.families import Bernoulli
from vae_lightning.models import GaussianVAE
from vae_lightning.nn import MLP
from vae_lightning.objectives import ELBO
from vae_lightning.training import trainer

EPOCHS = 50
KINDS: tuple[Callable[[], Any], ...] = (
    callbacks.LogLikelihood,
    callbacks.ActiveUnits,
    callbacks.ELBOSurgery,
    callbacks.CollapseWatch,
    callbacks.SmoothKNN,
    callbacks.HenzeZirkler,
    callbacks.Consistency,
    callbacks.InferenceGaps,
    callbacks.Samples,
    callbacks.Reconstructions,
    callbacks.Interpolations,
    callbacks.Traversals,
    callbacks.LatentScatter,
)


def watchers() -> list[Any]:
    """All that fit a VAE of images with 16 Gaussian units; for FID a network of one layer in place of Inception."""
    network = nn.Sequential(nn.Flatten(), nn.Linear(64, 16))
    fid = callbacks.FrechetInceptionDistance(features=network, cache=tempfile.mkdtemp())
    return [kind() for kind in KINDS] + [fid]


def clock(callback: pl.Callback) -> list[float]:
    """The processor seconds of each call of its evaluation hooks, as they come."""
    times: list[float] = []

    def timed(hook: Callable[..., None], *args: Any, **kwargs: Any) -> None:
        began = time.process_time()
        hook(*args, **kwargs)
        times.append(time.process_time() - began)

    for name in ("on_validation_epoch_start", "on_validation_batch_end", "on_validation_epoch_end"):
        setattr(callback, name, partial(timed, getattr(callback, name)))
    return times


class Clock(pl.Callback):
    """Processor seconds of each epoch with its validation, logs and checkpoints."""

    def __init__(self) -> None:
        self.ticks: list[float] = []

    def on_train_epoch_start(self, *_: object) -> None:
        self.ticks.append(time.process_time())

    def on_train_end(self, *_: object) -> None:
        self.ticks.append(time.process_time())


def fit(watching: list[Any], epochs: int) -> list[float]:
    """Processor seconds of each epoch, in the Trainer as the command sets it up."""
    torch.manual_seed(0)
    hidden, ticking = partial(MLP, hidden=[200, 200]), Clock()
    objective = ELBO(Reparameterised())
    module = GaussianVAE(16, Bernoulli((1, 8, 8)), encoder=hidden, decoder=hidden, objective=objective)
    with tempfile.TemporaryDirectory() as folder, Path(os.devnull).open("w") as nowhere:
        bar = callbacks.Bar(console_kwargs={"file": nowhere})
        best = ModelCheckpoint(filename="best", monitor="val/nelbo", enable_version_counter=False)
        all_callbacks = [*watching, bar, callbacks.MetricsFile(), best, callbacks.LastCheckpoint(), ticking]
        run = trainer(folder, max_epochs=epochs, accelerator="cpu", callbacks=all_callbacks)
        run.fit(module, Digits(DynamicBinarisation()))
    return [1e3 * (after - before) for before, after in zip(ticking.ticks, ticking.ticks[1:], strict=False)]


class Watched:
    """Milliseconds of an epoch with all callbacks, and what each of them spends in its hooks, run by run."""

    def __init__(self, epochs: int) -> None:
        self.epochs = epochs
        self.spent: dict[str, list[float]] = defaultdict(list)

    def __call__(self) -> float:
        watching = watchers()
        clocks = {type(callback).__name__: clock(callback) for callback in watching}
        each = statistics.mean(fit(watching, self.epochs))
        for name, times in clocks.items():
            self.spent[name].append(1e3 * sum(times) / self.epochs)
        return each


def epoch(asked: argparse.Namespace) -> Iterator[Row]:
    """In turns, with and without them."""
    fit([], 2), fit(watchers(), 2)
    epochs, rounds = (2, 1) if asked.quick else (EPOCHS, 7)
    watched = Watched(epochs)
    runs = {"watched": watched, "alone": lambda: statistics.mean(fit([], epochs))}
    costs: Costs = {**in_turns(runs, rounds, warm=0), **watched.spent}
    costs = {**costs, "their hooks": [sum(each) for each in zip(*watched.spent.values(), strict=True)]}
    what = "an epoch on Digits"
    yield Comparison(f"{what}, {len(watched.spent)} callbacks", "watched", "alone", Share(1.08)).row(costs)
    yield Comparison(f"{what}, their hooks", "their hooks", "alone", Share()).row(costs)
    for callback in watchers():
        name, every = type(callback).__name__, callback.every_n_epochs
        when = f"every {every} epochs" if every > 1 else "every epoch"
        yield Comparison(f"{what}, {name}, {when}", name, "alone", Share()).row(costs)


if __name__ == "__main__":
    main({"epoch": epoch}, __doc__)
