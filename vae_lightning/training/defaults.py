"""Trainer: its options -> what this project sets where they leave room: callbacks, plugins, and one for Python."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
from lightning.pytorch.callbacks import Callback, Checkpoint, ProgressBar
from lightning.pytorch.plugins import CheckpointIO
from lightning.pytorch.profilers import PassThroughProfiler
from rich.console import Console

from vae_lightning.callbacks import (
    AboutFile,
    AtomicCheckpointIO,
    Bar,
    CodeWriter,
    EpochLines,
    FinalFigures,
    MetricsFile,
)
from vae_lightning.process import keep_large_buffers
from vae_lightning.training.loggers import RunTensorBoard

DEFAULTS: dict[str, Any] = {"log_every_n_steps": 20, "num_sanity_val_steps": 0}
"""Of every Trainer, the command's and those that `trainer` makes."""

_NOTHING = nullcontext("")


def trainer(folder: Path | str | None = None, **changes: Any) -> pl.Trainer:
    """The Trainer as the command sets it up, but for use from Python: quiet, and on one device.

    Checkpoints are written atomically. There are some, or a progress bar, only if `callbacks` holds what makes them.
    From then on the process keeps freed buffers of up to 32 megabytes for the next step, as the command's does.

    Args:
        folder: where TensorBoard logs go, each run in a `version_N` of its own; by default nothing is logged.
        changes: any argument of `lightning.pytorch.Trainer`, in place of what is set here.
    """
    keep_large_buffers()
    callbacks = listed(changes.get("callbacks"))
    settings: dict[str, Any] = DEFAULTS | {
        "logger": RunTensorBoard(folder, name="", default_hp_metric=False) if folder else False,
        "enable_checkpointing": any(isinstance(callback, Checkpoint) for callback in callbacks),
        "enable_progress_bar": any(isinstance(callback, ProgressBar) for callback in callbacks),
        "enable_model_summary": False,
        "devices": 1,
    }
    if changes.get("barebones"):
        settings["log_every_n_steps"] = 0  # it takes no other
    options = settings | changes
    return pl.Trainer(**options | own_parts(options))


def own_parts(options: Mapping[str, Any], trust: Iterable[str] = ()) -> dict[str, Any]:
    """What takes the place of Lightning's own: how checkpoints are written, and a profiler if none was asked for."""
    profiler = options.get("profiler")
    bare = profiler is None and not options.get("barebones")  # which takes none, not even one that does nothing
    plugins = with_atomic_checkpoints(options.get("plugins"), trust)
    return {"plugins": plugins, "profiler": Unwatched() if bare else profiler}


class Unwatched(PassThroughProfiler):
    """Lightning's profiler that records nothing, without a generator at each of the fifty or more hooks of a step."""

    def profile(self, action_name: str) -> AbstractContextManager[str]:  # type: ignore[override]
        """A context that does nothing."""
        return _NOTHING


def own_callbacks(options: Mapping[str, Any], checkpoints: list[Callback]) -> list[Callback]:
    """The checkpoints, unless they are switched off, the records of a run, and the progress bar if no other is given.

    A barebones trainer has none of them.
    """
    if options["barebones"]:
        return []
    kept = [] if options["enable_checkpointing"] is False else checkpoints
    other_bar = any(isinstance(each, ProgressBar) for each in listed(options["callbacks"]))
    bar = [] if other_bar or options["enable_progress_bar"] is False else [_progress()]
    return [*kept, *bar, AboutFile(), MetricsFile(), FinalFigures(), CodeWriter()]


def _progress() -> ProgressBar:
    """A bar; where there is no terminal that it can move in, and no notebook, a line for each epoch."""
    console = Console()
    return Bar() if console.is_terminal or console.is_jupyter else EpochLines()


def check(options: Mapping[str, Any]) -> None:
    """ValueError for an option that would count for nothing here."""
    if options["model_registry"]:
        raise ValueError("--trainer.model_registry: there is no model registry here; a checkpoint is a file of the run")


def with_atomic_checkpoints(plugins: object, trust: Iterable[str] = ()) -> list[Any]:
    """Checkpoints are written atomically unless the configuration brings its own plugin for them."""
    given = listed(plugins)
    return given if any(isinstance(each, CheckpointIO) for each in given) else [*given, AtomicCheckpointIO(trust)]


def listed(value: object) -> list[Any]:
    """What the configuration has as one, several or nothing."""
    return list(value) if isinstance(value, list | tuple) else [] if value is None else [value]
