"""Watching does not change the watched: a fit with every diagnostic ends with the bits of one without any."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from small import events, hashing, newsgroups, trainer
from test_resume import assert_equal

from vae_lightning.callbacks import (
    BitUse,
    FinalFigures,
    GradientVariance,
    HammingPrecision,
    LastCheckpoint,
    LogitsByLength,
    MetricsFile,
    NearestWords,
)


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
