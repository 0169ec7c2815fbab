"""Runs that have to endure something, in children, and what they end with beside a run that had nothing to endure."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from support.command import command, figures
from support.forked import in_children
from support.interrupted import differences, plain
from support.short_run import saved


def whole(config: Path, folder: Path) -> Path:
    """A run of three epochs of 10 steps in this folder, which had nothing to endure."""
    command("fit", "--config", config, "--trainer.max_epochs", "3", "--trainer.logger.save_dir", folder)
    return folder / "version_0"


def in_a_child(run: Callable[[], int], folder: Path, patience: float | None = None) -> tuple[int, str]:
    """Its exit status, and what it said."""
    told = folder / f"told-{time.monotonic_ns()}"
    (status,) = in_children([run], folder, told, told, patience)
    return status, told.read_text()


def unlike(one: Path, other: Path) -> list[str]:
    """In what the weights, the optimizer and the figures of two ended runs differ; empty for the same bits."""
    parts = ("state_dict", "optimizer_states", "global_step", "epoch")
    ends = []
    for folder in (one, other):
        state = saved(folder / "checkpoints" / "last.ckpt")
        ends.append({part: plain(state[part]) for part in parts} | {"figures": figures(folder)})
    return differences(*ends)
