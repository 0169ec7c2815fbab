"""MemberPhases: what modules with phases, such as LiBI, do at the ends of these, done for all members of a stack."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor, nn

from vae_lightning.models.ensemble.stack import Stack, state

State = dict[str, Tensor]
"""The parameters and buffers of a module by name; of many, stacked along a first axis."""


@runtime_checkable
class Phased(Protocol):
    """A module trained in phases, with a fresh optimizer in each, that keeps the best of its repeats by its own choice.

    `begin_phase`, `keep_best` and `recall` are of the state of one module or of many, the others of one alone.
    """

    def begins_phase(self, step: int) -> bool:
        """Whether the optimizer starts anew before this step."""

    def begin_phase(self, state: State, step: int) -> None:
        """What else is done before this step, the first of a phase."""

    def ends_repeat(self, step: int) -> bool:
        """Whether a repeat is done after so many steps."""

    def judged_on(self, data: Any) -> Tensor | None:
        """The validation data that repeats are judged on; ValueError if there have to be any."""

    def value_on(self, x: Tensor) -> Float[Tensor, ""]:
        """What the best repeat has most of, under the module's own seed."""

    def keep_best(self, state: State, value: Float[Tensor, "*M"], step: int) -> None:
        """After a repeat, keep what is better than all before."""

    def recall(self, state: State) -> Float[Tensor, "*M"]:
        """Become the best kept so far, if any is; its value, -inf without one."""

    def failures(self, batch: Any, step: int) -> dict[str, str]:
        """The constraints that the batch fails at this step, by name, with the reason."""


class MemberPhases:
    """The phases of all members at once; their noise, data and choice are each member's own.

    Args:
        stack: the members, all `Phased`.
        alone: gives a copy of a member, by its number, with its present weights, where the stack is.
    """

    def __init__(self, stack: Stack, alone: Callable[[int], Any]) -> None:
        self.stack, self.alone = stack, alone
        self._judged: list[Tensor | None] = [None] * len(stack.members)

    def start(self, data: Sequence[Any]) -> None:
        """Find what each member is judged on."""
        pairs = zip(self.stack.members, data, strict=True)
        self._judged = [member.judged_on(its_data) for member, its_data in pairs]

    def begins(self, step: int) -> bool:
        """Whether a phase begins before this step."""
        return bool(self.stack.module.begins_phase(step))

    def begin(self, step: int) -> None:
        """Begin it."""
        self.stack.module.begin_phase(dict(state(self.stack.module)), step)

    @torch.no_grad()
    def judge(self, step: int) -> Float[Tensor, " M"] | None:
        """Where a repeat is done, each member's value on its validation data; None elsewhere, or without such data."""
        if not self.stack.module.ends_repeat(step) or None in self._judged[:1]:
            return None
        return torch.stack([self.alone(n).value_on(x) for n, x in enumerate(self._judged) if x is not None])

    def keep_best(self, values: Float[Tensor, " M"], step: int) -> None:
        """Let each member keep the repeat just done, if it is its best."""
        self.stack.module.keep_best(dict(state(self.stack.module)), values, step)

    def recall(self, weights: nn.Module) -> Float[Tensor, " M"]:
        """In a module like the stack's, let each member become the best it has kept before; their values."""
        value: Tensor = self.stack.module.recall(dict(state(weights)))
        return value

    @torch.no_grad()
    def failures(self, batch: tuple[Tensor, Tensor], step: int, number: int) -> str:
        """The constraints that a member's codes fail, by name, in one line; empty if none."""
        found = self.alone(number).failures((batch[0][number], batch[1][number]), step)
        return "; ".join(f"the penalty {name}: {reason}" for name, reason in found.items())
