"""Bar: told of few steps, and up to date wherever it stands still."""

from __future__ import annotations

import io
from typing import Any

import lightning.pytorch as pl
import pytest
from support.models import digits, gaussian_vae

from vae_lightning.callbacks import Bar
from vae_lightning.callbacks.run import bar as module
from vae_lightning.training import trainer

STEPS = 6


class Seen(pl.Callback):
    """Where the bar is, and what stands beside it."""

    def __init__(self) -> None:
        self.steps: list[int] = []
        self.pauses: list[int] = []
        self.figures: dict[str, Any] = {}

    def on_train_batch_end(self, trainer: pl.Trainer, *_: Any) -> None:
        self.steps.append(completed(trainer))

    def on_validation_start(self, trainer: pl.Trainer, *_: Any) -> None:
        self.pauses.append(completed(trainer))

    def on_train_epoch_end(self, trainer: pl.Trainer, *_: Any) -> None:
        self.pauses.append(completed(trainer))
        self.figures = dict(its(trainer)._metric_component._metrics)


def its(trainer: pl.Trainer) -> Any:
    return trainer.progress_bar_callback


def completed(trainer: pl.Trainer) -> int:
    return int(its(trainer).train_progress_bar.completed)


@pytest.mark.parametrize(("apart", "moves"), [(1.0, [1, 2, 3, 4, 5, 6]), (0.0, [1, 1, 1, 3, 3, 3])])
def test_it_is_told_as_often_as_it_is_drawn_and_before_each_pause(
    monkeypatch: pytest.MonkeyPatch, apart: float, moves: list[int]
) -> None:
    """Steps that lie so many seconds apart, and a validation after the third."""
    now = iter(range(10**6))
    monkeypatch.setattr(module.time, "monotonic", lambda: apart * next(now))
    bar, seen = Bar(console_kwargs={"file": io.StringIO(), "force_terminal": True}), Seen()
    length = {"max_epochs": 1, "limit_train_batches": STEPS, "limit_val_batches": 1, "val_check_interval": 3}
    trainer(callbacks=[bar, seen], accelerator="cpu", **length).fit(gaussian_vae(), digits())
    assert seen.steps == moves
    assert seen.pauses == [3, STEPS, STEPS]
    assert "val/nelbo" in seen.figures
