"""Members of an ensemble: built under their seeds, and taken out of the stack again, as modules or checkpoints."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import lightning
import lightning.pytorch as pl
import torch
from torch import nn

from vae_lightning.models.ensemble.stack import state

_NO_RULE = ("lr", "foreach", "fused")  # each member's own; how the same update is computed


def built(member: Callable[[], pl.LightningModule] | None, seeds: Sequence[int] | int) -> list[Any]:
    """What `member` returns under each seed; ValueError without either, TypeError for a module, which builds none."""
    seeds = range(seeds) if isinstance(seeds, int) else seeds
    if member is None or not seeds:
        raise ValueError("Ensemble needs members: give `members`, or `member`, which builds one, and `seeds`")
    if isinstance(member, nn.Module) or not callable(member):
        raise TypeError(f"`member` builds a module, once for each seed, such as `lambda: {type(member).__name__}(...)`")
    made: list[Any] = []
    for seed in seeds:
        with torch.random.fork_rng(devices=()):
            torch.manual_seed(seed)
            each: Any = member()
        if not isinstance(each, pl.LightningModule):
            raise TypeError(f"`member` must return a model, such as GaussianVAE(...); it returned {each!r}")
        each.seed = seed  # type: ignore[assignment]  # torch says that modules hold tensors
        made.append(each)
    return made


def describe(members: Sequence[Any], described: Mapping[str, Any]) -> None:
    """Give members that LightningCLI built, and whose hyper-parameters it took for the ensemble's, their own."""
    instantiator = members[0].hparams["_instantiator"]
    for each in members:
        each.hparams.clear()
        own = {"_class_path": described["class_path"], **described.get("init_args", {}), "_instantiator": instantiator}
        each.save_hyperparameters(own, logger=False)


def learning_rate(member: Any) -> float:
    """That its optimizer begins with."""
    return member.optimizer([nn.Parameter(torch.zeros(1))]).param_groups[0]["lr"]


def check_members(members: Sequence[Any]) -> None:
    """TypeError for members without an objective, as RBMs; ValueError for updates that differ in more than the rate."""
    for member in members:
        if getattr(member, "objective", None) is None:
            raise TypeError(
                f"an Ensemble trains its members by their objective, and {type(member).__name__} has none: train such "
                "models one at a time"
            )
    rules = [_update_rule(member) for member in members]
    for number, rule in enumerate(rules):
        for name in rules[0] | rule:
            if (here := rules[0].get(name)) != (there := rule.get(name)):
                raise ValueError(
                    f"members share one optimizer and scheduler but for the learning rate, and {name} is {here!r} in "
                    f"member 0 and {there!r} in member {number}; train those that differ as ensembles of their own"
                )


def _update_rule(member: Any) -> dict[str, Any]:
    optimizer = member.optimizer([nn.Parameter(torch.zeros(1))])
    told = {name: value for name, value in optimizer.defaults.items() if name not in _NO_RULE}
    rule = {"the optimizer": type(optimizer).__name__} | told
    if member.scheduler is None:
        return rule
    scheduler = member.scheduler(optimizer)
    numbers = {k: v for k, v in scheduler.state_dict().items() if type(v) in (int, float)}  # rates are in lists
    return rule | {"the scheduler": type(scheduler).__name__} | {f"scheduler.{k}": v for k, v in numbers.items()}


def alone(member: Any, source: nn.Module, number: int, seed: int) -> Any:
    """A copy of the member with the weights, in their precision, that it has in a stack's module."""
    module = copy.deepcopy(member).to(next(source.parameters()).dtype)
    with torch.no_grad():
        for (_, own), (_, stacked) in zip(state(module), state(source), strict=True):
            own.copy_(stacked[number])
    module.started, module.seed = True, seed
    return module


def checkpoint(module: Any, trainer: pl.Trainer | None) -> dict[str, Any]:
    """What a checkpoint of a member by itself holds, after a run of the ensemble."""
    done = {"epoch": trainer.current_epoch, "global_step": trainer.global_step} if trainer is not None else {}
    content = {"epoch": 0, "global_step": 0, "pytorch-lightning_version": lightning.__version__} | done
    content |= {"state_dict": module.state_dict(), module.CHECKPOINT_HYPER_PARAMS_KEY: dict(module.hparams)}
    module.on_save_checkpoint(content)
    return content
