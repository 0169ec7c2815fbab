"""Checkpoints for tests: a whole one of nothing, and what strangers could send."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

COUNTS = {"total": {"ready": 1}, "current": {"ready": 1}}
PROGRESS = ("epoch_progress", "epoch_loop.batch_progress", "epoch_loop.automatic_optimization.optim_progress")
LOOP = dict.fromkeys(PROGRESS, COUNTS)


def whole(**parts: Any) -> dict[str, Any]:
    """The least that a checkpoint has, and these parts."""
    return {"state_dict": {}, "epoch": 0, "global_step": 0, "pytorch-lightning_version": "2.6.0"} | parts


def written(path: Path, **parts: Any) -> Path:
    """A whole checkpoint with these parts as a file."""
    torch.save(whole(**parts), path)
    return path
