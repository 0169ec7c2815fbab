"""Stack: many modules alike -> one, whose weights and losses carry the member's axis in front."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import chain
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.func import functional_call, vmap

from vae_lightning.models.ensemble.noise import MemberNoise
from vae_lightning.models.ensemble.settings import differing, setting, stackable
from vae_lightning.randomness import Noise

StackedBatch = tuple[Tensor, Tensor]
"""x (M, B, *X) and y (M, B)."""


class Stack(nn.Module):
    """M modules with a pure `loss(batch, step)` as one, by `torch.func.vmap` over that loss.

    `module` is like each of them, but its parameters and buffers are (M, *shape). Float attributes of modules in which
    the members differ (beta, the weight of a penalty) become vectors over the members, those included that their
    objectives take from schedules. Noise is each member's own, from `noise`.
    ValueError, saying where, for members that differ in anything else: shapes, classes, counts.
    """

    def __init__(self, members: Sequence[Any]) -> None:
        super().__init__()
        self.members = list(members)  # a plain list: what is trained is the stack
        self.noise = MemberNoise([member.seed for member in members])
        self._fixed, self._objectives_differ = _differences(members)
        self._now: list[Any] = []
        self._at_step: dict[str, Tensor] = {}
        self.module = copy.deepcopy(members[0])
        self.read()
        for child in self.module.modules():
            for name in [name for name, value in vars(child).items() if isinstance(value, Noise)]:
                setattr(child, name, self.noise)

    @torch.no_grad()
    def read(self) -> None:
        """Take the members' weights; ValueError if they are not alike."""
        states = [dict(state(member)) for member in self.members]
        kinds = [{name: _kind(tensor) for name, tensor in its_state.items()} for its_state in states]
        for number, its_kinds in enumerate(kinds):
            for name in kinds[0] | its_kinds:
                if (here := kinds[0].get(name)) != (there := its_kinds.get(name)):
                    raise ValueError(f"members must be alike, but {name} is {here} in 0 and {there} in {number}")
        for name, tensor in state(self.module):
            tensor.data = torch.stack([its_state[name].detach() for its_state in states]).to(tensor.device)

    def forward(
        self, batch: StackedBatch, step: int, weights: nn.Module | None = None
    ) -> tuple[Float[Tensor, " M"], dict[str, Tensor]]:
        """Each member's loss on its part of the batch at this step, and its figures; under other weights if given."""
        with self.settings(step) as values:
            return self.losses(dict(state(weights or self.module)), values, batch, step)

    def losses(
        self, weights: dict[str, Tensor], values: dict[str, Tensor], batch: StackedBatch, step: int
    ) -> tuple[Float[Tensor, " M"], dict[str, Tensor]]:
        """The same as a function of all that it depends on but the step: weights and settings by name, data."""
        call = _Loss(self.module)

        def loss(weights: Any, values: Any, batch: StackedBatch, number: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
            with self.noise.of(number), setting(self.module, values):
                return functional_call(call, weights, (batch, step))

        weights = {f"module.{name}": tensor for name, tensor in weights.items()}
        precision = next(iter(weights.values())).dtype
        values = {name: value.to(batch[0].device, precision) for name, value in values.items()}
        try:
            return vmap(loss)(weights, values, batch, torch.arange(len(self.members), device=batch[0].device))
        except RuntimeError as error:
            if "randomness" not in str(error):
                raise
            raise TypeError(
                "the loss draws from torch's generator, which no member has alone: let it draw from a "
                "vae_lightning.randomness.Noise, as the objectives here do"
            ) from error

    def objective_at(self, step: int) -> Any:
        """What, beside `settings`, the loss depends on in the step: the same object means the same loss, None nothing.

        It is that of the first member, from which the others differ by their settings alone.
        """
        objective = getattr(self.module, "objective", None)
        return None if objective is None else objective.at(step)

    def comparable(self, batch: StackedBatch, step: int, weights: nn.Module) -> Float[Tensor, " M"] | None:
        """Each member's loss by one objective for all, this step's `unweighted`; None for their own."""
        if self.incomparable(step) or not differing([member.objective.at(step) for member in self.members]):
            return None
        values = {name: value for name, value in self._fixed.items() if not name.startswith("objective.")}
        self.noise.begin(*self.noise.keys)  # the same draws
        before = self.module.objective
        self.module.objective = before.at(step).unweighted()
        try:
            return self.losses(dict(state(weights)), values, batch, step)[0]
        finally:
            self.module.objective = before

    def incomparable(self, step: int | None) -> list[str]:
        """In what members are judged differently: their `unweighted` objectives of a step, or without one `judge`."""
        if step is None:
            return [name for name in self._fixed if name.startswith("judge.")]
        return [f"objective.{name}" for name in differing([m.objective.at(step).unweighted() for m in self.members])]

    @contextmanager
    def settings(self, step: int) -> Iterator[dict[str, Tensor]]:
        """The values in which members differ at this step; where these depend on it, with that step's objective set."""
        if not self._objectives_differ:
            yield self._fixed
            return
        now = [member.objective.at(step) for member in self.members]
        if len(now) != len(self._now) or any(new is not old for new, old in zip(now, self._now, strict=True)):
            self._now, self._at_step = now, _stacked("objective.", now)
        at_step, objective = self._at_step, self.module.objective
        self.module.objective = objective.at(step)
        try:
            yield self._fixed | at_step
        finally:
            self.module.objective = objective


class _Loss(nn.Module):
    """`loss` as a forward, whose weights `functional_call` can replace."""

    def __init__(self, module: Any) -> None:
        super().__init__()
        self.module = module

    def forward(self, batch: StackedBatch, step: int) -> tuple[Tensor, dict[str, Tensor]]:
        return self.module.loss(batch, step)


def state(module: nn.Module) -> Iterator[tuple[str, Tensor]]:
    """The parameters and buffers of a module, by name."""
    return chain(module.named_parameters(), module.named_buffers())


def _kind(tensor: Tensor) -> str:
    frozen = ", frozen" if isinstance(tensor, nn.Parameter) and not tensor.requires_grad else ""
    return f"{type(tensor).__name__}{tuple(tensor.shape)} of {str(tensor.dtype).removeprefix('torch.')}{frozen}"


def across(values: Tensor, like: Tensor) -> Tensor:
    """(M,) -> (M, 1, ..., 1), to be broadcast over the rest of a stacked tensor."""
    return values.reshape(-1, *[1] * (like.ndim - 1))


def _differences(members: Sequence[Any]) -> tuple[dict[str, Tensor], bool]:
    """Values that differ at every step alike, and whether others have to be asked for at each step."""
    objectives: list[Any] = [getattr(member, "objective", None) for member in members]
    scheduled = any(objective is not None and objective.at(0) is not objective for objective in objectives)
    if not (scheduled and differing(objectives)):
        return _stacked("", members), False
    bare = []
    for member in members:
        bare.append(copy.copy(member))
        bare[-1]._modules = {name: child for name, child in member._modules.items() if name != "objective"}
    return _stacked("", bare), True


def _stacked(prefix: str, modules: Sequence[Any]) -> dict[str, Tensor]:
    numbers = stackable(modules)
    return {prefix + name: torch.tensor(values, dtype=torch.float64) for name, values in numbers.items()}
