"""Checkpoints for tests: a whole one of nothing, and what strangers could send."""

from __future__ import annotations

from collections.abc import Callable
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


STRANGER = "stranger_witness"
"""A module that leaves a file behind when it is imported, and one when it is called."""
_MODULE = """
from pathlib import Path
import torch
Path({folder!r}, "imported").touch()
def run(*arguments, **named):
    Path({folder!r}, "called").touch()
class Objective(torch.nn.Module):
    def __init__(self, *arguments, **named):
        super().__init__()
        run()
"""


def plant(code: Path, seen: Path) -> Path:
    """The folder with a stranger's module, which leaves its files in the other."""
    seen.mkdir()
    code.mkdir()
    (code / f"{STRANGER}.py").write_text(_MODULE.format(folder=str(seen)))
    return code


def spec(path: str, /, **arguments: Any) -> dict[str, Any]:
    """What a checkpoint says of an object."""
    return {"class_path": path, "init_args": arguments}


class Pickled:
    """Runs a function when it is unpickled."""

    def __init__(self, seen: Path) -> None:
        self.seen = seen

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return Path.touch, (self.seen / "called",)
