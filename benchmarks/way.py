"""The way of a batch through the package in one step of five models: calls, hops between files, files.

    python benchmarks/way.py            prints a table

Each model is fitted for six steps and validated. The profiler counts the third `training_step`, which writes no
figures, and the last `validation_step`. A call is one of a function of this package, a hop one from a function of
another of its files, and files are those that are met. Torch's and Lightning's own calls are not counted.
"""

from __future__ import annotations

import logging
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

import lightning.pytorch as pl
import torch
from torch.distributions import LogNormal

import vae_lightning
from vae_lightning.counts import Counts
from vae_lightning.data import Digits, FullBatch, Stacked, Synthetic
from vae_lightning.data.base import InMemoryDataModule
from vae_lightning.data.images import ThresholdBinarisation
from vae_lightning.data.loaders import Observations
from vae_lightning.data.processes import LinearJTEx
from vae_lightning.estimators import DisARM
from vae_lightning.families import Bernoulli, Normal
from vae_lightning.models import RBM, Ensemble, GaussianVAE, HashingVAE, LiBI
from vae_lightning.objectives import ELBO
from vae_lightning.training import trainer

PACKAGE = str(Path(vae_lightning.__file__).parent)
COMPREHENSIONS = ("<listcomp>", "<dictcomp>", "<setcomp>", "<genexpr>")  # no functions to who reads them
WORDS, DOCUMENTS, STEPS = 50, 64, 6


class Documents(InMemoryDataModule):
    """Random documents, all of them in one batch."""

    num_words, length_distribution = WORDS, LogNormal(4.5, 1.0)

    def load(self) -> tuple[Observations, Observations, Observations]:
        x = torch.poisson(torch.ones(DOCUMENTS, WORDS), torch.Generator().manual_seed(0))
        split = Observations.numbered(Counts.from_dense(x), torch.zeros(DOCUMENTS, dtype=torch.long))
        return split, split, split


class Way:
    """The calls of functions of the package while it is watched."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, str]] = []
        self.hops = 0

    def __call__(self, frame: FrameType, event: str, argument: object) -> None:
        """What `sys.setprofile` asks for."""
        file, name = frame.f_code.co_filename, frame.f_code.co_name
        if event == "call" and file.startswith(PACKAGE) and name not in COMPREHENSIONS:
            self.calls.append((file, name))
            self.hops += file != caller(frame.f_back)

    def row(self) -> str:
        """Calls, hops and files."""
        return f"{len(self.calls)}, {self.hops}, {len({file for file, _ in self.calls})}"


def caller(frame: FrameType | None) -> str:
    """The file of the package that a call comes from, whatever of torch lies between."""
    while frame is not None and not frame.f_code.co_filename.startswith(PACKAGE):
        frame = frame.f_back
    return "" if frame is None else frame.f_code.co_filename


def watched(step: Callable[..., Any], ways: list[Way]) -> Callable[..., Any]:
    """The step, whose way is added to `ways` each time."""

    def run(*arguments: Any) -> Any:
        ways.append(Way())
        sys.setprofile(ways[-1])
        try:
            return step(*arguments)
        finally:
            sys.setprofile(None)

    return run


def ways(module: Any, data: pl.LightningDataModule) -> tuple[Way, Way]:
    """Those of the third training step, and of the last validation step."""
    training: list[Way] = []
    validation: list[Way] = []
    module.training_step = watched(module.training_step, training)
    module.validation_step = watched(module.validation_step, validation)
    run = trainer(max_steps=STEPS, max_epochs=-1, use_distributed_sampler=False, enable_progress_bar=False)
    run.fit(module, data)
    run.validate(module, data, verbose=False)
    return training[2], validation[-1]


def world(seed: int = 0) -> FullBatch:
    """LinearJTEx, all of it in every batch."""
    return FullBatch(Synthetic(LinearJTEx(), (60, 20, 20), seed), STEPS)


MODELS: dict[str, Callable[[], tuple[Any, pl.LightningDataModule]]] = {
    "GaussianVAE": lambda: (GaussianVAE(2, Normal((1, 8, 8), 0.1)), Digits()),
    "HashingVAE, DisARM": lambda: (HashingVAE(8, WORDS, objective=ELBO(DisARM())), Documents(DOCUMENTS, DOCUMENTS)),
    "RBM, CD-1": lambda: (RBM(Bernoulli((1, 8, 8)), Bernoulli(16)), Digits(binarisation=ThresholdBinarisation())),
    "LiBI, step 1": lambda: (LiBI(2, Normal(2, 0.1), steps=STEPS), world()),
    "Ensemble, recorded step": lambda: (
        Ensemble(member=lambda: GaussianVAE(2, Normal(2, 0.1)), seeds=2),
        Stacked([world(0), world(1)]),
    ),
}


def main() -> None:
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    warnings.simplefilter("ignore")
    print("| | training step: calls, hops, files | validation step: calls, hops, files |\n|---|---|---|")
    for name, build in MODELS.items():
        training, validation = ways(*build())
        print(f"| {name} | {training.row()} | {validation.row()} |")


if __name__ == "__main__":
    main()
