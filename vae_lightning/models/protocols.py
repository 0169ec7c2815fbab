"""Protocols: a LightningModule of which little is known -> what callbacks and the command may ask of it.

A module of your own needs none of these: a callback that cannot do without one says so before the first epoch.
"""

from __future__ import annotations

from typing import Any, Protocol, runtime_checkable

from torch import Tensor, nn

from vae_lightning.counts import Counts


@runtime_checkable
class Seeded(Protocol):
    """Has the seed of its run, from which those of its diagnostics are derived."""

    seed: int


@runtime_checkable
class ChecksData(Protocol):
    """Says, before anything is written, that data are not what it models."""

    def check_data(self, data: object) -> None:
        """ValueError if not."""


@runtime_checkable
class KnowsTraining(Protocol):
    """Knows how many steps its weights were trained for, when nothing trains them now."""

    trained_steps: int


@runtime_checkable
class Generates(Protocol):
    """Draws observations."""

    def sample(self, n: int) -> Tensor | Counts:
        """(n, *X)."""


@runtime_checkable
class WritesMembers(Protocol):
    """Trains many models at once, each of which can be written as a checkpoint of its own."""

    def checkpoint(self, number: int) -> dict[str, Any]:
        """What the checkpoint of this one holds."""


def part(module: nn.Module, name: str) -> nn.Module | None:
    """The submodule of this name, such as "model" or "objective", if the module has one."""
    try:
        return module.get_submodule(name)
    except AttributeError:
        return None


def seed_of(module: object) -> int:
    """The seed of the module's run; 0 for one that has none."""
    return module.seed if isinstance(module, Seeded) else 0
