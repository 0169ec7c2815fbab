"""Loop state: a Trainer between two batches or two epochs -> a state from which its loops go on with the next batch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import lightning.pytorch as pl
from lightning.pytorch.callbacks import EarlyStopping
from lightning.pytorch.callbacks.early_stopping import EarlyStoppingReason

LoaderStates = list[dict[str, Any]]

_IN_EPOCH = ("epoch_loop.automatic_optimization.optim", "epoch_loop.manual_optimization.optim", "epoch_loop.scheduler")


def loader_states(trainer: pl.Trainer) -> LoaderStates:
    """The states of those loaders of training data that have one, as they are now."""
    loader = trainer.fit_loop._combined_loader
    return [] if loader is None else loader._state_dicts()


def epoch_over(trainer: pl.Trainer) -> bool:
    """Whether the epoch has no batch left."""
    return bool(trainer.fit_loop.epoch_loop._num_ready_batches_reached())


def forget_step(trainer: pl.Trainer) -> None:
    """Drop the figures that were logged at the last step: Lightning writes them again wherever it writes others.

    A run that goes on from here has none, and no figure should stand at a step that it is not of.
    """
    for figure in trainer.fit_loop.epoch_loop._results.values():
        figure._forward_cache = None


def between_batches(trainer: pl.Trainer, loaders: LoaderStates) -> dict[str, Any]:
    """The loops' state in mid-epoch, with the loaders' states from before they handed out the next batch."""
    state = _as_in_batch_end(trainer, trainer.fit_loop.epoch_loop.batch_progress.current.completed)
    epochs = trainer.current_epoch
    started = {"ready": epochs + 1, "started": epochs + 1, "processed": epochs, "completed": epochs}
    return state | {"epoch_progress": _both(started), "state_dict": {"combined_loader": loaders}}


def between_epochs(trainer: pl.Trainer) -> dict[str, Any]:
    """The loops' state before an epoch's first batch; loaders begin the epoch anew."""
    state = _as_in_batch_end(trainer, 0)
    counted = {name: _counted_anew(counts) for name, counts in state.items() if name.startswith(_IN_EPOCH)}
    epochs = trainer.current_epoch
    ready = {"ready": epochs + 1, "started": epochs, "processed": epochs, "completed": epochs}
    return state | counted | {"epoch_progress": _both(ready), "state_dict": {}}


def _as_in_batch_end(trainer: pl.Trainer, batches: int) -> dict[str, Any]:
    """What the loops would say in `on_train_batch_end` of the last batch done, if `batches` are done in the epoch.

    Lightning goes on from there exactly, and from hardly any other moment: it counts the batch as completed and its
    step as logged, and does not run again the validation that came after it. So a state between batches is told as one
    of that hook; before an epoch's first batch, of a batch before the first.
    """
    state = cast(dict[str, Any], trainer.fit_loop.state_dict())
    total = trainer.fit_loop.epoch_loop.batch_progress.total.completed
    progress = {"current": _processed(batches), "total": _processed(total), "is_last_batch": False}
    none = dict.fromkeys(("ready", "started", "processed", "completed"), 0)  # no validation is under way
    return state | {
        "epoch_loop.batch_progress": progress,
        "epoch_loop.val_loop.batch_progress": _both(none) | {"is_last_batch": False},
        "epoch_loop.state_dict": {"_batches_that_stepped": trainer.fit_loop.epoch_loop._batches_that_stepped - 1},
    }


def _counted_anew(counts: dict[str, Any]) -> dict[str, Any]:
    """Progress in an epoch that has not begun."""
    parts = {name: _counted_anew(part) for name, part in counts.items() if isinstance(part, dict)}
    return counts | parts | ({"current": dict.fromkeys(counts["current"], 0)} if "current" in counts else {})


def _processed(batches: int) -> dict[str, int]:
    return {"ready": batches, "started": batches, "processed": batches, "completed": batches - 1}


def _both(counts: dict[str, int]) -> dict[str, Any]:
    return {"total": dict(counts), "current": dict(counts)}


def stopped_early(stoppers: Sequence[EarlyStopping], checkpoint: dict[str, Any]) -> bool:
    """Whether one of them had stopped the run that the checkpoint is of."""
    states = [checkpoint.get("callbacks", {}).get(stopper.state_key, {}) for stopper in stoppers]
    running = EarlyStoppingReason.NOT_STOPPED.value
    return any(state.get("stopping_reason", running) != running for state in states)
