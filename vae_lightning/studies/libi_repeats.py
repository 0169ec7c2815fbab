"""Repeats: the phases of LiBI, begun and judged for all members of an ensemble as each does alone."""

from __future__ import annotations

import copy
from typing import Any

import lightning.pytorch as pl
import torch
from torch import Tensor

from vae_lightning.models.stack import state
from vae_lightning.randomness import seeded


class Repeats(pl.Callback):
    """For an `Ensemble` of `LiBI` members, which does not know phases: what each member does at their ends alone.

    Where a phase begins the optimizer starts anew and step 3 is done; after each repeat every member is judged on its
    validation data by its own selection, under its own seed, and the best repeat kept.
    """

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Begin a phase."""
        module = _stacked(pl_module)
        if module.begins_phase(trainer.global_step):
            module.begin_phase(dict(state(module)), trainer.global_step)
            for optimizer in trainer.optimizers:
                optimizer.state.clear()

    @torch.no_grad()
    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Judge a repeat."""
        module = _stacked(pl_module)
        if module.ends_repeat(trainer.global_step):
            data: Any = trainer.datamodule  # type: ignore[attr-defined]
            values = [_judged(pl_module, number, its_data.val.x) for number, its_data in enumerate(data.members)]
            best = module.best.value
            module.keep_best(dict(state(module)), torch.stack(values).to(best), trainer.global_step)


def _judged(ensemble: Any, number: int, x: Tensor) -> Tensor:
    alone = copy.deepcopy(ensemble.members[number])
    for (_, own), (_, stacked) in zip(state(alone), state(ensemble.stack.module), strict=True):
        own.copy_(stacked[number])
    with seeded(alone.seed, "select"):
        return torch.cat([alone.judge(alone.model, rows) for rows in x.split(64)]).mean()


def _stacked(ensemble: Any) -> Any:
    return ensemble.stack.module
