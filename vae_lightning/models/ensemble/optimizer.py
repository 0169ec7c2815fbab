"""Optimizers of members that differ in their learning rates alone -> the one that takes a step for all of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import torch
from lightning.pytorch.utilities.types import OptimizerLRScheduler
from torch import nn
from torch.optim import SGD, Adagrad, Adam, Adamax, AdamW, NAdam, Optimizer, RAdam, RMSprop
from torch.optim.lr_scheduler import ReduceLROnPlateau

from vae_lightning.models.reproducible import ReproducibleModule
from vae_lightning.models.schedules import EveryStep, scheduled
from vae_lightning.process import without_asking

_ELEMENTWISE = (Adagrad, Adam, AdamW, Adamax, NAdam, RAdam, RMSprop, SGD)  # and linear in the learning rate
_NO_RULE = ("lr", "foreach", "fused")  # each member's own; how the same update is computed


def learning_rate(member: ReproducibleModule) -> float:
    """The rate that the member's optimizer begins with."""
    rate: float = _optimizer(member).param_groups[0]["lr"]
    return rate


def shared_optimizer(member: ReproducibleModule, parameters: Iterable[nn.Parameter]) -> OptimizerLRScheduler:
    """This member's optimizer over the parameters of all, with its scheduler; TypeError where it would mix members."""
    optimizer = member.optimizer(parameters)
    if not isinstance(optimizer, _ELEMENTWISE):
        known = ", ".join(kind.__name__ for kind in _ELEMENTWISE)
        raise TypeError(f"{type(optimizer).__name__} would mix the members' gradients: use one of {known}")
    without_asking(optimizer)
    if member.scheduler is None:
        return optimizer
    scheduler = member.scheduler(optimizer)
    if isinstance(scheduler, ReduceLROnPlateau):
        raise TypeError("ReduceLROnPlateau would let the members' figures set one rate: use a schedule of steps")
    return scheduled(optimizer, scheduler)


def check_update_rules(members: Sequence[ReproducibleModule]) -> None:
    """ValueError for members whose updates differ in more than the learning rate."""
    rules = [_update_rule(member) for member in members]
    for number, rule in enumerate(rules):
        for name in rules[0] | rule:
            if (here := rules[0].get(name)) != (there := rule.get(name)):
                raise ValueError(
                    f"members share one optimizer and scheduler but for the learning rate, and {name} is {here!r} in "
                    f"member 0 and {there!r} in member {number}; train those that differ as ensembles of their own"
                )


def _update_rule(member: ReproducibleModule) -> dict[str, object]:
    optimizer = _optimizer(member)
    told = {name: value for name, value in optimizer.defaults.items() if name not in _NO_RULE}
    rule: dict[str, object] = {"the optimizer": type(optimizer).__name__} | told
    if member.scheduler is None:
        return rule
    rate = float(optimizer.param_groups[0]["lr"])
    given = member.scheduler(optimizer)
    scheduler = given.scheduler if isinstance(given, EveryStep) else given
    rule["the scheduler"] = " of ".join(dict.fromkeys(type(each).__name__ for each in (given, scheduler)))
    rates = {name: value for name, value in optimizer.param_groups[0].items() if name.endswith("lr")}
    return rule | _numbers(dict(scheduler.state_dict()) | rates, "scheduler", rate)


def _numbers(state: object, name: str, rate: float) -> dict[str, object]:
    """The numbers that a scheduler is made of, by name, with those that are learning rates divided by `rate`.

    A member goes the same part of the shared step at every step: so must its own schedule be of its rate.
    """
    if isinstance(state, int | float):
        is_rate = rate and any(part.endswith(("lr", "lrs", "eta_min")) for part in name.split("."))
        return {f"{name} / lr": round(state / rate, 9)} if is_rate else {name: state}
    if not isinstance(state, Mapping | list | tuple):
        return {}
    parts = state.items() if isinstance(state, Mapping) else enumerate(state)
    return {key: number for i, part in parts for key, number in _numbers(part, f"{name}.{i}", rate).items()}


def _optimizer(member: ReproducibleModule) -> Optimizer:
    """The member's optimizer, of a parameter made to ask it."""
    return member.optimizer([nn.Parameter(torch.zeros(1))])
