"""Watching does not change the watched: a fit with every diagnostic ends with the bits of one without any."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import pytest
import torch
from support.diagnostics import FIGURES, built
from support.models import digits, events, gaussian_vae, hashing, newsgroups, trainer
from test_resume import assert_equal

from vae_lightning.callbacks import (
    BitUse,
    Diagnostic,
    FinalFigures,
    GradientVariance,
    HammingPrecision,
    LastCheckpoint,
    LogitsByLength,
    MetricsFile,
    NearestWords,
)
from vae_lightning.estimators import Reparameterised
from vae_lightning.latent_variable import Draw
from vae_lightning.objectives import ELBO
from vae_lightning.priors import VampPrior


@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed"])
def test_all_diagnostics_at_every_occasion(precision: str, miniature: Path, tmp_path: Path) -> None:
    watchers = [
        BitUse(), NearestWords(every_n_epochs=1), LogitsByLength(every_n_epochs=1), HammingPrecision(every_n_epochs=1),
        GradientVariance(every_n_steps=3, num_draws=2), MetricsFile(), FinalFigures(), LastCheckpoint(2),
    ]  # fmt: skip
    ends = {}
    for name, callbacks in {"watched": watchers, "alone": []}.items():
        run = trainer(*callbacks, folder=tmp_path / name, max_epochs=2, enable_checkpointing=True, precision=precision)
        module = hashing(num_bits=8)
        run.fit(module, datamodule=newsgroups(miniature))
        ends[name] = module.state_dict(), run.optimizers[0].state_dict(), torch.rand(4)
    assert_equal(ends["watched"], ends["alone"])
    # they did watch, and the weights did move
    seen = events(tmp_path / "watched" / "version_0").Tags()
    assert {"val/nearest_words", "val/logits_by_length"} <= set(seen["images"])
    assert {"val/bit_entropy", "val/precision@100", "train/gradient_variance"} <= set(seen["scalars"])
    start = hashing(num_bits=8).state_dict()
    assert not torch.equal(start["model.encoder.network.weight"], ends["alone"][0]["model.encoder.network.weight"])


class Precisions(Diagnostic):
    """Notes in what precision the evaluation's draws are."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: set[torch.dtype] = set()

    def observe(self, trainer: pl.Trainer, module: Any, draw: Draw, batch: Any) -> None:
        self.seen |= {draw.z.dtype, draw.log_likelihood.dtype, draw.log_prior.dtype, draw.log_posterior.dtype}

    def report(self, trainer: pl.Trainer, module: Any, split: str) -> None:
        """Nothing."""


@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed"])
def test_all_diagnostics_of_digits_at_every_occasion(precision: str, tmp_path: Path) -> None:
    """Whatever training's precision, the diagnostics see float32, and change no bit of what is trained."""
    ends, precisions = {}, Precisions()
    watchers = [*built(tmp_path / "fid"), precisions, MetricsFile(), FinalFigures(), LastCheckpoint(2)]
    for name, callbacks in {"watched": watchers, "alone": []}.items():
        run = trainer(*callbacks, folder=tmp_path / name, max_epochs=2, enable_checkpointing=True, precision=precision)
        module = gaussian_vae(prior=VampPrior(2, (1, 8, 8), 7), objective=ELBO(Reparameterised()))
        run.fit(module, datamodule=digits())
        ends[name] = module.state_dict(), run.optimizers[0].state_dict(), torch.rand(4)
    assert_equal(ends["watched"], ends["alone"])
    assert precisions.seen == {torch.float32}
    assert {f"val/{figure}" for figure in FIGURES} <= set(events(tmp_path / "watched" / "version_0").Tags()["scalars"])
    start = gaussian_vae().state_dict()["model.encoder.network.output.weight"]
    assert not torch.equal(start, ends["alone"][0]["model.encoder.network.output.weight"])
