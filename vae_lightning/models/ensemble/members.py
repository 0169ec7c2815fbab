"""Members of an ensemble: built under their seeds, and taken out of the stack again, as modules or checkpoints."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import lightning
import lightning.pytorch as pl
import torch
from torch import nn

from vae_lightning.models.ensemble.stack import named_tensors
from vae_lightning.models.latent_variable import LatentVariableModule
from vae_lightning.models.reproducible import ReproducibleModule

Builder = Callable[[], ReproducibleModule]
_NOT_ASKED = ("configure_optimizers", "training_step", "training_loss")


def build_members(member: Builder | None, seeds: Sequence[int] | int) -> list[ReproducibleModule]:
    """What `member` returns under each seed; ValueError without either, TypeError for a module, which builds none."""
    seeds = range(seeds) if isinstance(seeds, int) else seeds
    if member is None or not seeds:
        raise ValueError("Ensemble needs members: give `members`, or `member`, which builds one, and `seeds`")
    if isinstance(member, nn.Module) or not callable(member):
        raise TypeError(f"`member` builds a module, once for each seed, such as `lambda: {type(member).__name__}(...)`")
    return [_built(member, seed) for seed in seeds]


def _built(member: Builder, seed: int) -> ReproducibleModule:
    with torch.random.fork_rng(devices=()):
        torch.manual_seed(seed)
        made = member()
    if not isinstance(made, ReproducibleModule):
        raise TypeError(f"`member` must return a model, such as GaussianVAE(...); it returned {made!r}")
    made.seed = seed
    return made


def with_objective(members: Sequence[ReproducibleModule]) -> list[LatentVariableModule]:
    """The members, all of them trained by an objective at one rate; TypeError for others, such as RBMs."""
    trained = [member for member in members if isinstance(member, LatentVariableModule)]
    for member in members:
        if not isinstance(member, LatentVariableModule):
            raise TypeError(
                f"an Ensemble trains its members by their objective, and {type(member).__name__} has none: train such "
                "models one at a time"
            )
        kind = type(member)
        if own := [name for name in _NOT_ASKED if getattr(kind, name) is not getattr(LatentVariableModule, name)]:
            raise TypeError(
                f"an Ensemble trains its members by their `loss`, `optimizer` and `scheduler`, and {kind.__name__} "
                f"overrides {', '.join(own)}: train such models one at a time"
            )
        if member.objective.rates():
            name = type(member.objective).__name__
            raise ValueError(f"{name} trains modules at rates of its own: train such models one at a time")
    return trained


def restore_hparams(members: Sequence[ReproducibleModule], of_ensemble: Mapping[str, Any]) -> None:
    """Restore the members' own hyper-parameters, which LightningCLI overwrote with the ensemble's.

    The command describes `member` by `class_path` and `init_args`, and names what builds it, among `of_ensemble`.
    """
    described = of_ensemble.get("member")
    if not isinstance(described, Mapping):
        return
    class_path, arguments = described["class_path"], described.get("init_args", {})
    own = {"_class_path": class_path, **arguments, "_instantiator": of_ensemble["_instantiator"]}
    for each in members:
        each.hparams.clear()
        each.save_hyperparameters(own, logger=False)


def extracted(member: LatentVariableModule, source: nn.Module, number: int, seed: int) -> LatentVariableModule:
    """A copy of the member with the weights, in their precision, that it has in a stack's module."""
    module = copy.deepcopy(member).to(next(source.parameters()).dtype)
    with torch.no_grad():
        for (_, own), (_, stacked) in zip(named_tensors(module), named_tensors(source), strict=True):
            own.copy_(stacked[number])
    module.started, module.seed = True, seed
    return module


def checkpoint(module: ReproducibleModule, trainer: pl.Trainer | None) -> dict[str, Any]:
    """What a checkpoint of a member by itself holds, after a run of the ensemble."""
    done = {"epoch": trainer.current_epoch, "global_step": trainer.global_step} if trainer is not None else {}
    content = {"epoch": 0, "global_step": 0, "pytorch-lightning_version": lightning.__version__} | done
    content |= {"state_dict": module.state_dict(), module.CHECKPOINT_HYPER_PARAMS_KEY: dict(module.hparams)}
    module.on_save_checkpoint(content)
    return content
