"""A cell of the LiBI study: a method in a world -> all its data sets, restarts and settings trained as one ensemble."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import torch
from lightning.pytorch.loggers import TensorBoardLogger
from lightning.pytorch.utilities import rank_zero_warn

from vae_lightning.data import FullBatch, Stacked, Synthetic
from vae_lightning.models import Ensemble, LiBI
from vae_lightning.models.base import LatentVariableModule
from vae_lightning.models.ensemble import NoMemberLeft
from vae_lightning.randomness import derive_seed, seeded
from vae_lightning.studies.cells import Figures
from vae_lightning.studies.libi_evaluation import evaluate
from vae_lightning.studies.libi_methods import STEPS_OF_EPOCH, Grid, Method, Setting, Training, label
from vae_lightning.studies.libi_worlds import World

POINTS, VALIDATIONS = 500, 10


@dataclass(frozen=True)
class Size:
    """How much is computed at a scale."""

    data_sets: int
    restarts: int
    training: Training
    grid: Grid
    samples: int  # S of Eq. 48
    comparisons: int  # smooth k-NN


@dataclass(frozen=True)
class Cell:
    """What one ensemble trains; `group` names the hyper-parameters that all its members share."""

    world: World
    method: Method
    group: str
    settings: Sequence[Setting]

    @property
    def name(self) -> str:
        """Such as "LinearJTEx / LiBI / R=1"."""
        return " / ".join(part for part in (self.world.name, self.method.name, self.group) if part)

    @property
    def path(self) -> str:
        """The name as that of a folder."""
        return self.name.replace(" / ", "/").replace(" ", "-").replace("=", "-")


Learned = dict[str, dict[str, torch.Tensor]]
"""Weights on the first data set by setting."""


def data_of(world: World, number: int, seed: int) -> Synthetic:
    """The number-th data set of a world."""
    return Synthetic(
        world.truth, (POINTS,) * 3, derive_seed(seed, "libi", world.name, number) % 2**31, eval_batch_size=POINTS
    )


def run_cell(cell: Cell, size: Size, seed: int, logs: Path) -> tuple[Figures, Learned]:
    """Train, choose each setting's restart on each data set by the method's own objective on validation, and test it.

    The figures are named "setting|data set|figure", as `evaluate` names them, and `repeat` for LiBI; a setting none of
    whose restarts went to the end has none.
    """
    with default_dtype(cell.world.dtype):
        sets = [data_of(cell.world, number, seed) for number in range(size.data_sets)]
        who = [Who(*each) for each in product(cell.settings, range(size.data_sets), range(size.restarts))]
        ensemble = Ensemble([_member(cell, each, size, seed) for each in who], names=[each.name for each in who])
        try:
            train(ensemble, [sets[each.data_set] for each in who], size.training, logs / cell.path)
        except NoMemberLeft as error:  # the other cells go on, and the study names this one
            rank_zero_warn(f"{cell.name}: {error}")
            return {}, {}
        own = own_objective(ensemble)
        figures: Figures = {}
        learned: Learned = {}
        for setting, data_set in product(cell.settings, range(size.data_sets)):
            of_these = [i for i, each in enumerate(who) if each.setting is setting and each.data_set == data_set]
            best = max(of_these, key=lambda i: own[i])
            if own[best] == -math.inf:
                continue
            module = ensemble.member(best)
            its = evaluate(module, cell.world, sets[data_set], size.samples, size.comparisons, seed)
            its |= {"repeat": float(module.best.repeat)} if isinstance(module, LiBI) else {}
            figures |= {f"{label(setting)}|{data_set}|{name}": value for name, value in its.items()}
            if data_set == 0:
                learned[label(setting)] = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    return figures, learned


@dataclass(frozen=True)
class Who:
    """A member of a cell's ensemble."""

    setting: Setting
    data_set: int
    restart: int

    @property
    def name(self) -> str:
        """Such as "beta=2 data 0 restart 1"."""
        return f"{label(self.setting)} data {self.data_set} restart {self.restart}".strip()


def _member(cell: Cell, who: Who, size: Size, seed: int) -> LatentVariableModule:
    """Under a seed of its data set and restart alone: methods and settings are compared from the same start."""
    its_seed = derive_seed(seed, "libi", "member", who.data_set, who.restart) % 2**31
    with seeded(its_seed):
        member = cell.method.build(cell.world, who.setting, size.training)
    member.seed = its_seed
    return member


def train(ensemble: Ensemble, data: Sequence[Synthetic], training: Training, folder: Path) -> None:
    """All members, by one Trainer."""
    first: Any = ensemble.members[0]
    epochs = training.steps * (first.phases.repeats if isinstance(first, LiBI) else 1) // STEPS_OF_EPOCH
    shared = {id(its_data): FullBatch(its_data, STEPS_OF_EPOCH) for its_data in data}
    trainer = pl.Trainer(
        accelerator="auto",
        devices=1,
        max_epochs=epochs,
        check_val_every_n_epoch=max(1, epochs // VALIDATIONS),
        logger=TensorBoardLogger(folder, "tensorboard", version=""),
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        use_distributed_sampler=False,
        num_sanity_val_steps=0,
        log_every_n_steps=STEPS_OF_EPOCH,
    )
    trainer.fit(ensemble, Stacked([shared[id(its_data)] for its_data in data]))


def own_objective(ensemble: Ensemble) -> list[float]:
    """What members are selected by on validation: a LiBI's own choice, else the objective; -inf for one that failed."""
    return (-ensemble.best_loss).nan_to_num(-math.inf, neginf=-math.inf).tolist()


@contextmanager
def default_dtype(dtype: torch.dtype) -> Iterator[None]:
    """Within the block, new tensors are of this type."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        yield
    finally:
        torch.set_default_dtype(before)


def rebuilt(cell: Cell, setting: Setting, size: Size, weights: dict[str, torch.Tensor]) -> LatentVariableModule:
    """The module of a setting with weights that a cell left."""
    with default_dtype(cell.world.dtype):
        module = cell.method.build(cell.world, setting, size.training)
    module.load_state_dict(weights)
    return module.eval()
