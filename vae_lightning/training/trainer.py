"""Trainer: its options -> the callbacks and plugins of this project that they leave room for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from lightning.pytorch.callbacks import Callback, ProgressBar, RichProgressBar
from lightning.pytorch.plugins import CheckpointIO

from vae_lightning.callbacks import AtomicCheckpointIO, CodeWriter, FinalFigures, MetricsFile


def own_callbacks(options: Mapping[str, Any], checkpoints: list[Callback]) -> list[Callback]:
    """The checkpoints, unless they are switched off, the records of a run, and the progress bar if no other is given.

    A barebones trainer has none of them.
    """
    if options["barebones"]:
        return []
    kept = [] if options["enable_checkpointing"] is False else checkpoints
    other_bar = any(isinstance(each, ProgressBar) for each in listed(options["callbacks"]))
    bar = [] if other_bar or options["enable_progress_bar"] is False else [RichProgressBar(refresh_rate=10)]
    return [*kept, *bar, MetricsFile(), FinalFigures(), CodeWriter()]


def check(options: Mapping[str, Any]) -> None:
    """ValueError for an option that would count for nothing here."""
    if options["model_registry"]:
        raise ValueError("--trainer.model_registry: there is no model registry here; a checkpoint is a file of the run")


def with_atomic_checkpoints(plugins: Any, trust: Iterable[str]) -> list[Any]:
    """Checkpoints are written atomically unless the configuration brings its own plugin for them."""
    given = listed(plugins)
    return given if any(isinstance(each, CheckpointIO) for each in given) else [*given, AtomicCheckpointIO(trust)]


def listed(value: Any) -> list[Any]:
    """What the configuration has as one, several or nothing."""
    return list(value) if isinstance(value, list | tuple) else [] if value is None else [value]
