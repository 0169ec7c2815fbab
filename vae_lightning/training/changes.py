"""Changes: options beside a checkpoint -> what takes effect in its model and optimizer, and what cannot."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import lightning.pytorch as pl
import torch
from jsonargparse import ArgumentParser
from lightning.pytorch.cli import OptimizerCallable
from torch import nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from vae_lightning.construction.leaves import flat
from vae_lightning.training.checkpoint import Checkpoint, Config

Changes = dict[str, tuple[Any, Any]]
"""Options of the model by their names, as `model.latent_dim`: what the checkpoint has and what is asked for."""


def changes(old: Config, new: Config) -> Changes:
    """Where two descriptions of a model differ."""
    one, other = (dict(flat(described, "model")) for described in (old, new))
    names = [name for name in {**one, **other} if one.get(name) != other.get(name)]
    return {name: (one.get(name), other.get(name)) for name in names}


def listed(changed: Changes) -> str:
    """Each with both values; of what belongs to another class, the class."""
    first = {name: both for name, both in changed.items() if name.rpartition(".")[0] not in changed}
    return ", ".join(f"--{name} is {new}, {old} in the checkpoint" for name, (old, new) in first.items())


def check_weights(module: nn.Module, checkpoint: Checkpoint, changed: Changes) -> None:
    """ValueError if a changed option makes a model of other parameters."""
    if changed and not checkpoint.fits(module):
        raise ValueError(misfit(checkpoint, changed))


def misfit(checkpoint: Checkpoint, changed: Changes) -> str:
    """What to do about weights that do not fit."""
    return (
        f"the weights of {checkpoint.path} do not fit this model: {listed(changed)}. Leave out what its weights do "
        "not fit, or train a new model without a checkpoint"
    )


def changed_settings(old: Config, new: Config, path: object) -> list[str]:
    """The settings of the optimizer that were changed, by their names in its groups.

    ValueError for another optimizer or scheduler, which cannot take the state of the checkpoint's.
    """
    changed = changes(old, new)
    one, other = (_optimizer(described) for described in (old, new))
    lost = {name: both for name, both in changed.items() if _keeps_state(name) or "scheduler" in name.split(".")}
    if type(one) is not type(other):
        lost["model.optimizer"] = (type(one).__name__, type(other).__name__)
    if lost:
        raise ValueError(
            f"{listed(lost)}: it cannot take the state of the checkpoint's. Leave it out to go on, or start a new run "
            f"from the weights alone by --start_from {path} in place of --ckpt_path"
        )
    defaults = ({} if each is None else each.defaults for each in (one, other))
    differing = changes(*defaults)
    return [name.rsplit(".", 1)[-1] for name in (*changed, *differing)]


def _keeps_state(name: str) -> bool:
    """An optimizer deeper in the model, as that of an ensemble's members."""
    return "optimizer" in name.split(".")[2:]


def _optimizer(described: Config) -> Optimizer | None:
    """The optimizer as described, over nothing in particular; None for a model that does not take one."""
    how = described.get("init_args", {}).get("optimizer")
    if how is None:
        return None
    parser = ArgumentParser(exit_on_error=False)
    parser.add_argument("--optimizer", type=OptimizerCallable)
    built: Optimizer = parser.instantiate_classes(parser.parse_object({"optimizer": how})).optimizer(
        [nn.Parameter(torch.zeros(1))]
    )
    return built


class ChangedSettings(pl.Callback):
    """Puts changed settings of the optimizer into a resumed run, whose optimizer has the checkpoint's otherwise.

    Where a scheduler has made something of the old learning rate, it has made the same share of the new one.
    """

    def __init__(self, names: Iterable[str]) -> None:
        self.names = set(names)

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Remember the options' settings of the optimizer's groups, before the checkpoint's state is loaded."""
        self._given = [[dict(group) for group in optimizer.param_groups] for optimizer in trainer.optimizers]

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """The state is loaded."""
        for optimizer, given in zip(trainer.optimizers, self._given, strict=True):
            for group, new in zip(optimizer.param_groups, given, strict=True):
                for name in self.names & group.keys() - {"params"}:
                    group[name] = _rate(group, new) if name == "lr" else new[name]
                if "lr" in self.names and "initial_lr" in group:
                    group["initial_lr"] = new["initial_lr"]
        for config in trainer.lr_scheduler_configs if "lr" in self.names else ():
            if isinstance(config.scheduler, LRScheduler):
                config.scheduler.base_lrs = [group["initial_lr"] for group in config.scheduler.optimizer.param_groups]


def _rate(group: Config, new: Config) -> float:
    """The new learning rate; where there is a scheduler, its share of it."""
    if "initial_lr" not in group:
        return float(new["lr"])
    return float(group["lr"]) / float(group["initial_lr"]) * float(new["initial_lr"])
