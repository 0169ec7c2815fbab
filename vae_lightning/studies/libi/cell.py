"""What the LiBI study trains as one ensemble: a method in a world, its settings, data sets and restarts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

from vae_lightning.data import Synthetic
from vae_lightning.randomness import derive_seed
from vae_lightning.studies.libi.methods import Grid, Method, Setting, Training, label
from vae_lightning.studies.libi.worlds import World

POINTS = 500
"""Observations of a split."""


@dataclass(frozen=True)
class LiBISize:
    """How much is computed at a scale."""

    data_sets: int
    restarts: int
    training: Training
    grid: Grid
    samples: int  # S of Eq. 48
    comparisons: int  # smooth k-NN


@dataclass(frozen=True, eq=False)
class Cell:
    """What one ensemble trains; `group` names the hyper-parameters that all its members share."""

    world: World
    method: Method
    group: str
    settings: Sequence[Setting]

    @property
    def pair(self) -> tuple[str, str]:
        """The names of world and method."""
        return self.world.name, self.method.name

    @property
    def name(self) -> str:
        """Such as "LinearJTEx / LiBI / R=1"."""
        return " / ".join(part for part in (*self.pair, self.group) if part)

    @property
    def path(self) -> str:
        """The name as that of a folder."""
        return self.name.replace(" / ", "/").replace(" ", "-").replace("=", "-")

    def members(self, size: LiBISize) -> list[Member]:
        """The members of the cell's ensemble: every setting on every data set, from several starts."""
        return [Member(*each) for each in product(self.settings, range(size.data_sets), range(size.restarts))]


@dataclass(frozen=True)
class Member:
    """A member of a cell's ensemble."""

    setting: Setting
    data_set: int
    restart: int

    @property
    def name(self) -> str:
        """Such as "beta=2 data 0 restart 1"."""
        return f"{label(self.setting)} data {self.data_set} restart {self.restart}".strip()


def data_of(world: World, number: int, seed: int) -> Synthetic:
    """The number-th data set of a world."""
    of_its_own = derive_seed(seed, "libi", world.name, number) % 2**31
    return Synthetic(world.truth, (POINTS,) * 3, of_its_own, eval_batch_size=POINTS)
