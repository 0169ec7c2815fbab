"""Phases of an ensemble: what its members do at the ends of their own phases -> done for all of them at once."""

from __future__ import annotations

import abc
from collections.abc import Callable, Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from vae_lightning.data.protocols import Split
from vae_lightning.models.ensemble.stack import Stack, StackedBatch
from vae_lightning.models.latent_variable import LatentVariableModule
from vae_lightning.models.phased import Phased


class Phases(abc.ABC):
    """When an ensemble's members begin anew, and what the best of them are kept by."""

    by_validation: bool
    """Whether it is the loss on validation, and not the members' own choice."""

    @abc.abstractmethod
    def start(self, data: Sequence[object]) -> None:
        """Find in each member's data module what the member is judged on."""

    @abc.abstractmethod
    def kept(self) -> Float[Tensor, " M"] | None:
        """What each member has kept of an earlier training, judged on the data of this one; None if not by itself."""

    @abc.abstractmethod
    def begins(self, step: int) -> bool:
        """Whether a phase begins before this step."""

    @abc.abstractmethod
    def begin(self, step: int) -> None:
        """Begin it."""

    @abc.abstractmethod
    def judge(self, step: int) -> Float[Tensor, " M"] | None:
        """Each member's value on its validation data, where a repeat is done; None elsewhere, or without such data."""

    @abc.abstractmethod
    def keep_best(self, values: Float[Tensor, " M"], step: int) -> None:
        """Let each member keep the repeat that is done, if it is its best."""

    @abc.abstractmethod
    def failures(self, batch: StackedBatch, step: int, number: int) -> str:
        """The constraints that a member's codes fail, by name, in one line; empty if none."""


class OnePhase(Phases):
    """Members train from beginning to end."""

    by_validation = True

    def start(self, data: Sequence[object]) -> None:
        """There is nothing to find."""

    def kept(self) -> None:
        """Nothing: the validation is of this training."""

    def begins(self, step: int) -> bool:
        """No: the optimizer goes on."""
        return False

    def begin(self, step: int) -> None:
        """There is nothing to begin."""

    def judge(self, step: int) -> None:
        """There are no repeats."""

    def keep_best(self, values: Float[Tensor, " M"], step: int) -> None:
        """There are no repeats."""

    def failures(self, batch: StackedBatch, step: int, number: int) -> str:
        """There are no constraints to name."""
        return ""


class MemberPhases(Phases):
    """The phases of `Phased` members; noise, data and choice are each member's own.

    Args:
        module: the stack's, whose tensors are those of all members.
        alone: gives a copy of a member, by its number, with its present weights, where the stack is.
    """

    by_validation = False

    def __init__(self, module: Phased, alone: Callable[[int], Phased]) -> None:
        self.module, self.alone = module, alone
        self._judged: list[Split | None] = []

    def start(self, data: Sequence[object]) -> None:
        """ValueError without data that members have to be judged on."""
        self._judged = [self.module.judged_on(its_data) for its_data in data]

    @torch.no_grad()
    def kept(self) -> Float[Tensor, " M"] | None:
        """By each member's own choice."""
        if self._judged[0] is None:
            return None
        values = torch.stack([self.alone(n).kept_on(data) for n, data in enumerate(self._judged) if data is not None])
        self.module.value_kept(values)
        return values

    def begins(self, step: int) -> bool:
        """Whether a phase begins before this step."""
        return self.module.begins_phase(step)

    def begin(self, step: int) -> None:
        """Begin it in all members."""
        self.module.begin_phase(step)

    @torch.no_grad()
    def judge(self, step: int) -> Float[Tensor, " M"] | None:
        """Each member's value by its own choice, where a repeat is done."""
        if not self.module.ends_repeat(step) or None in self._judged[:1]:
            return None
        return torch.stack([self.alone(n).value_on(data) for n, data in enumerate(self._judged) if data is not None])

    def keep_best(self, values: Float[Tensor, " M"], step: int) -> None:
        """Let each member keep the repeat that is done, if it is its best."""
        self.module.keep_best(values, step)

    @torch.no_grad()
    def failures(self, batch: StackedBatch, step: int, number: int) -> str:
        """The penalties that a member's codes fail, with the reasons."""
        found = self.alone(number).failures((batch[0][number], batch[1][number]), step)
        return "; ".join(f"the penalty {name}: {reason}" for name, reason in found.items())


def phases_of(stack: Stack, alone: Callable[[int], LatentVariableModule]) -> Phases:
    """The phases that the members have; `alone` gives a member by its number."""

    def phased(number: int) -> Phased:
        member = alone(number)
        assert isinstance(member, Phased), "members are of one class"
        return member

    return MemberPhases(stack.module, phased) if isinstance(stack.module, Phased) else OnePhase()
