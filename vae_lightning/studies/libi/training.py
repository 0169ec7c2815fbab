"""A cell of the LiBI study -> all its data sets, restarts and settings trained as one ensemble, chosen and tested."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import Any

from lightning.pytorch.utilities import rank_zero_warn

from vae_lightning.data import FullBatch, Stacked, Synthetic
from vae_lightning.models import Ensemble, LiBI
from vae_lightning.models.ensemble import NoMemberLeft
from vae_lightning.models.latent_variable import LatentVariableModule
from vae_lightning.process import default_dtype
from vae_lightning.randomness import derive_seed, seeded
from vae_lightning.studies.libi.cell import Cell, LiBISize, Member, data_of
from vae_lightning.studies.libi.evaluation import evaluate
from vae_lightning.studies.libi.methods import STEPS_OF_EPOCH, Setting, label
from vae_lightning.studies.libi.results import Evaluation, Result, Weights
from vae_lightning.studies.provenance import Settings
from vae_lightning.studies.store import Figures
from vae_lightning.studies.trainings import Trainings

VALIDATIONS = 10


def train_and_judge(cell: Cell, size: LiBISize, seed: int, folder: Path, settings: Settings) -> Result:
    """Train, choose each setting's restart on each data set by the method's own objective on validation, and test it.

    A setting none of whose restarts went to the end has no evaluation on that data set. A training that is killed goes
    on in its last epoch; `settings` are what it depends on.
    """
    with default_dtype(cell.world.dtype):
        data, members = [data_of(cell.world, number, seed) for number in range(size.data_sets)], cell.members(size)
        modules = [_module(cell, member, size, seed) for member in members]
        ensemble = Ensemble(modules, names=[member.name for member in members])
        try:
            epochs = _epochs(modules[0], size)
            trainings = Trainings(folder, settings, options=_options(epochs))
            train(ensemble, [data[member.data_set] for member in members], epochs, trainings)
        except NoMemberLeft as error:  # the other cells go on, and the study names this one
            rank_zero_warn(f"{cell.name}: {error}")
            return Result([], {})
        chosen = list(_chosen(ensemble, members, cell.settings, size))
        evaluations = [
            Evaluation(label(member.setting), member.data_set, _judged(module, cell, data[member.data_set], size, seed))
            for member, module in chosen
        ]
    learned = {label(member.setting): _weights(module) for member, module in chosen if member.data_set == 0}
    return Result(evaluations, learned)


def _module(cell: Cell, member: Member, size: LiBISize, seed: int) -> LatentVariableModule:
    """Build a member under a seed of its data set and restart alone, so that methods and settings start alike."""
    its_seed = derive_seed(seed, "libi", "member", member.data_set, member.restart) % 2**31
    with seeded(its_seed):
        module = cell.method.build(cell.world, member.setting, size.training)
    module.seed = its_seed
    return module


def _epochs(module: LatentVariableModule, size: LiBISize) -> int:
    """A LiBI trains anew in each of its repeats."""
    repeats = module.phases.repeats if isinstance(module, LiBI) else 1
    return size.training.steps * repeats // STEPS_OF_EPOCH


def train(ensemble: Ensemble, data: Sequence[Synthetic], epochs: int, trainings: Trainings) -> None:
    """All members, by one Trainer."""
    shared = {id(its_data): FullBatch(its_data, STEPS_OF_EPOCH) for its_data in data}
    trainings.fit(ensemble, Stacked([shared[id(its_data)] for its_data in data]), epochs)


def _options(epochs: int) -> Mapping[str, Any]:
    """Of the Trainer."""
    return {"check_val_every_n_epoch": max(1, epochs // VALIDATIONS), "log_every_n_steps": STEPS_OF_EPOCH}


def _chosen(
    ensemble: Ensemble, members: Sequence[Member], settings: Sequence[Setting], size: LiBISize
) -> Iterator[tuple[Member, LatentVariableModule]]:
    """The best restart of each setting on each data set, if one went to the end."""
    own = own_objective(ensemble)
    for setting, data_set in product(settings, range(size.data_sets)):
        restarts = [i for i, each in enumerate(members) if each.setting is setting and each.data_set == data_set]
        best = max(restarts, key=lambda i: own[i])
        if own[best] > -math.inf:
            yield members[best], ensemble.member(best)


def own_objective(ensemble: Ensemble) -> list[float]:
    """What members are selected by on validation: a LiBI's own choice, else the objective; -inf for one that failed."""
    return (-ensemble.best_loss).nan_to_num(-math.inf, neginf=-math.inf).tolist()


def _judged(module: LatentVariableModule, cell: Cell, data: Synthetic, size: LiBISize, seed: int) -> Figures:
    """Figures as `evaluate` names them, and of a LiBI the `repeat` that was the best."""
    figures = evaluate(module, cell.world, data, size.samples, size.comparisons, seed)
    return figures | ({"repeat": float(module.best.repeat)} if isinstance(module, LiBI) else {})


def _weights(module: LatentVariableModule) -> Weights:
    return {name: tensor.clone() for name, tensor in module.state_dict().items()}


def rebuilt(cell: Cell, setting: Setting, size: LiBISize, weights: Weights) -> LatentVariableModule:
    """The module of a setting with weights that a cell left."""
    with default_dtype(cell.world.dtype):
        module = cell.method.build(cell.world, setting, size.training)
    module.load_state_dict(weights)
    return module.eval()
