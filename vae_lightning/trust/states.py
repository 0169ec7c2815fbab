"""check_states: what a run goes on from, as a checkpoint has it -> ValueError for what is missing or odd."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

_RESUMED = ("optimizer_states", "lr_schedulers", "callbacks", "loops")
_PROGRESS = ("epoch_progress", "epoch_loop.batch_progress", "epoch_loop.automatic_optimization.optim_progress")
_PATHS = ("best_model_path", "kth_best_model_path", "last_model_path")


def check_states(content: Mapping[str, Any]) -> None:
    """ValueError unless a run can go on from it, or it says nothing of runs, as what holds weights alone."""
    if any(name in content for name in _RESUMED[:-1]):
        if missing := [name for name in _RESUMED if name not in content]:
            raise ValueError(f"it has the states of a run, but no {', '.join(missing)}")
        loop = content["loops"].get("fit_loop")
        if not isinstance(loop, dict) or (missing := [name for name in _PROGRESS if name not in loop]):
            raise ValueError(f"its fit_loop has no {', '.join(missing or _PROGRESS)}")
    for name, loop in content.get("loops", {}).items():
        if not isinstance(loop, dict):
            raise ValueError(f"its {name} is a {type(loop).__name__}, not a mapping")
        for part in loop:
            if str(part).endswith("progress"):
                _check_counts(loop[part], f"{name}.{part}")
    for name, state in content.get("callbacks", {}).items():
        _check_callback(str(name), state)


def _check_counts(value: object, where: str, depth: int = 0) -> None:
    """Counters: mappings of mappings of whole numbers; -1 is of the batch before an epoch's first."""
    if isinstance(value, dict) and depth < 5 and ("total" in value) == ("current" in value):
        for name, part in value.items():
            _check_counts(part, f"{where}.{name!s:.20}", depth + 1)
    elif not isinstance(value, int) or value < -where.endswith("batch_progress.current.completed"):
        raise ValueError(f"{where} does not count: it is a {type(value).__name__}")


def _check_callback(name: str, state: object) -> None:
    """ValueError unless a ModelCheckpoint's paths are text: it removes files by them, as AtomicCheckpointIO allows."""
    if not isinstance(state, dict):
        raise ValueError(f"the state of {name:.40} is a {type(state).__name__}, not a mapping")
    if not name.startswith("ModelCheckpoint"):
        return
    best = state.get("best_k_models", {})
    scored = isinstance(best, dict) and all(isinstance(k, str) and isinstance(v, Tensor) for k, v in best.items())
    paths = "best_model_path" in state and all(isinstance(state.get(path, ""), str) for path in _PATHS)
    values = [state.get("kth_value"), state.get("best_model_score")]
    if not (scored and paths and "best_model_score" in state and all(isinstance(v, Tensor | None) for v in values)):
        raise ValueError(f"the state of {name.partition('{')[0]} has not the paths and values of its best models")
