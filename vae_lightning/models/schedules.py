"""Schedules: a learning-rate scheduler -> when Lightning steps it."""

from __future__ import annotations

from typing import Any

from lightning.pytorch.cli import LRSchedulerCallable, ReduceLROnPlateau
from torch.optim import Optimizer
from torch.optim.lr_scheduler import CyclicLR, LRScheduler, OneCycleLR

from vae_lightning.construction.arguments import check_kinds

_OF_STEPS = (OneCycleLR, CyclicLR)  # whose documentation says to step them after every batch


class EveryStep(LRScheduler):
    """Steps a scheduler after every optimizer step, and not after every epoch.

    `--model.scheduler vae_lightning.models.EveryStep --model.scheduler.scheduler
    torch.optim.lr_scheduler.CosineAnnealingLR --model.scheduler.scheduler.T_max 1000` falls for 1,000 steps. OneCycleLR
    and CyclicLR, which count steps by their definition, need no EveryStep. A resumed run goes on where it was.

    Args:
        scheduler: builds the scheduler from the optimizer.
    """

    def __init__(self, optimizer: Optimizer, scheduler: LRSchedulerCallable) -> None:
        check_kinds(EveryStep, locals())
        # not LRScheduler's own __init__, which would take a first step: this is only the word for when
        self.optimizer, self.scheduler = optimizer, scheduler(optimizer)
        if isinstance(self.scheduler, ReduceLROnPlateau):
            raise TypeError("ReduceLROnPlateau reads a figure of the validation, which no step has: give it alone")


def following(optimizer: Optimizer, build: LRSchedulerCallable) -> LRScheduler | ReduceLROnPlateau:
    """The scheduler of this optimizer; ValueError where it begins at one rate for parts that have different ones."""
    before = {group["lr"] for group in optimizer.param_groups}
    scheduler = build(optimizer)
    after = {group["lr"] for group in optimizer.param_groups}
    if len(before) > 1 and len(after) == 1 and after != {0.0}:
        raise ValueError(
            f"{type(scheduler).__name__} sets one learning rate for all parameters, of which some have a rate of their "
            f"own, {sorted(before)}: give it a list of rates, one for each, or take a scheduler that multiplies them"
        )
    return scheduler


def scheduled(optimizer: Optimizer, scheduler: LRScheduler | ReduceLROnPlateau, validated_every: int | None = 1) -> Any:
    """What `configure_optimizers` gives Lightning: stepped every epoch, with every validation whose figure it reads, or
    every step.

    Validations that are counted in batches across epochs, of which `validated_every` is None, may come after the first
    epochs: a scheduler that reads a figure is stepped from the epoch on that has one.
    """
    plan: dict[str, Any] = {"scheduler": scheduler}
    if isinstance(scheduler, ReduceLROnPlateau):
        plan |= {"monitor": scheduler.monitor, "frequency": validated_every or 1, "strict": validated_every is not None}
    elif isinstance(scheduler, EveryStep):
        plan = {"scheduler": scheduler.scheduler, "interval": "step"}
    elif isinstance(scheduler, _OF_STEPS):
        plan["interval"] = "step"
    return {"optimizer": optimizer, "lr_scheduler": plan}
