"""Stack: many modules alike -> one, whose weights and losses carry the member's axis in front."""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import chain

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.func import functional_call, vmap

from vae_lightning.models.ensemble.noise import MemberNoise
from vae_lightning.models.ensemble.settings import differing, overridden, stackable
from vae_lightning.models.latent_variable import LatentVariableModule
from vae_lightning.objectives import Objective
from vae_lightning.objectives.base import Kind

StackedBatch = tuple[Tensor, Tensor]
"""x (M, B, *X) and y (M, B)."""

Tensors = dict[str, Tensor]
"""Tensors by name."""


class Stack(nn.Module):
    """M modules with a pure `loss(batch, step)` as one, by `torch.func.vmap` over that loss.

    `module` is like each of them, but its parameters and buffers are (M, *shape). Float attributes of modules in which
    the members differ (beta, the weight of a penalty) become vectors over the members, those included that their
    objectives take from schedules. Noise is each member's own, from `noise`.
    ValueError, saying where, for members that differ in anything else: shapes, classes, counts.
    """

    def __init__(self, members: Sequence[LatentVariableModule]) -> None:
        super().__init__()
        self.members = list(members)  # a plain list: what is trained is the stack
        self.noise = MemberNoise([member.seed for member in members])
        self._fixed, self._objectives_differ = _differences(members)
        self._kinds: list[Kind] = []
        self._of_kinds: Tensors = {}
        self.module = copy.deepcopy(members[0])
        self.read()

    @torch.no_grad()
    def read(self) -> None:
        """Take the members' weights; ValueError if they are not alike."""
        states = [dict(named_tensors(member)) for member in self.members]
        kinds = [{name: _kind(tensor) for name, tensor in its_state.items()} for its_state in states]
        for number, its_kinds in enumerate(kinds):
            for name in kinds[0] | its_kinds:
                if (here := kinds[0].get(name)) != (there := its_kinds.get(name)):
                    raise ValueError(f"members must be alike, but {name} is {here} in 0 and {there} in {number}")
        for name, tensor in named_tensors(self.module):
            tensor.data = torch.stack([its_state[name].detach() for its_state in states]).to(tensor.device)

    def forward(
        self, batch: StackedBatch, step: int, weights: nn.Module | None = None
    ) -> tuple[Float[Tensor, " M"], Tensors]:
        """Each member's loss on its part of the batch at this step, and its figures; under other weights if given."""
        with self.differing_values(step) as values:
            return self.losses(dict(named_tensors(weights or self.module)), values, batch, step)

    def losses(
        self, weights: Tensors, values: Tensors, batch: StackedBatch, step: int
    ) -> tuple[Float[Tensor, " M"], Tensors]:
        """The same as a function of all that it depends on but the step: weights, differing values, and data."""
        call = _Loss(self.module)

        def loss(weights: Tensors, values: Tensors, batch: StackedBatch, number: Tensor) -> tuple[Tensor, Tensors]:
            with self.noise.of(number), overridden(self.module, values):
                return functional_call(call, weights, (batch, step))

        weights = {f"module.{name}": tensor for name, tensor in weights.items()}
        precision = next(iter(weights.values())).dtype
        values = {name: value.to(batch[0].device, precision) for name, value in values.items()}
        try:
            return vmap(loss)(weights, values, batch, torch.arange(len(self.members), device=batch[0].device))
        except RuntimeError as error:
            if (told := _told(error)) is None:
                raise
            raise TypeError(told) from error

    def objective_at(self, step: int) -> Objective:
        """The first member's objective of this step; the other members' differ from it by `differing_values` alone."""
        return self.module.objective.at(step)

    def kind_at(self, step: int) -> Kind | None:
        """The kind of the first member's, whose loss all steps of that kind have; None if it is of this step alone.

        So may be that of a `loss` that members override, of which nothing is known.
        """
        if self.module.has_own_loss:
            return None
        objective = self.objective_at(step)
        made_for_it = not objective.kind.varying and objective is not self.objective_at(step)
        return None if made_for_it else objective.kind

    def comparable(self, batch: StackedBatch, step: int, weights: nn.Module) -> Float[Tensor, " M"] | None:
        """Each member's loss by one objective for all, this step's `unweighted`; None for their own."""
        if not differing([member.objective.at(step) for member in self.members]) or self.incomparable(step):
            return None
        values = {name: value for name, value in self._fixed.items() if not name.startswith(_OF_OBJECTIVE)}
        self.noise.begin(*self.noise.keys)  # the same draws
        with self._under(self.objective_at(step).unweighted()):
            return self.losses(dict(named_tensors(weights)), values, batch, step)[0]

    def incomparable(self, step: int | None) -> list[str]:
        """In what members are judged differently: their `unweighted` objectives of a step, or without one `judge`."""
        if step is None:
            return [name for name in self._fixed if name.startswith("judge.")]
        unweighted = [member.objective.at(step).unweighted() for member in self.members]
        return [f"{_OF_OBJECTIVE}{name}" for name in differing(unweighted)]

    @contextmanager
    def differing_values(self, step: int) -> Iterator[Tensors]:
        """The values in which members, or steps of a kind, differ; where that is by step, with its objective set."""
        first = self.objective_at(step)
        if not (self._objectives_differ or first.kind.varying):
            yield self._fixed
            return
        same = [first] * len(self.members)
        now = [member.objective.at(step) for member in self.members] if self._objectives_differ else same
        kinds = [objective.kind for objective in now]
        varying = {name: None for kind in kinds for name in kind.varying}
        if kinds != self._kinds:
            others = {name: values for name, values in differing(now).items() if name not in varying}
            self._kinds, self._of_kinds = kinds, _vectors(others, first, _OF_OBJECTIVE)
        at_step = _vectors({name: [getattr(each, name) for each in now] for name in varying}, first, _OF_OBJECTIVE)
        with self._under(first):
            yield self._fixed | self._of_kinds | at_step

    @contextmanager
    def _under(self, objective: Objective) -> Iterator[None]:
        """Within the block, the module's objective is this one."""
        before = self.module.objective
        self.module.objective = objective
        try:
            yield
        finally:
            self.module.objective = before


class _Loss(nn.Module):
    """`loss` as a forward, whose weights `functional_call` can replace."""

    def __init__(self, module: LatentVariableModule) -> None:
        super().__init__()
        self.module = module

    def forward(self, batch: StackedBatch, step: int) -> tuple[Tensor, Tensors]:
        return self.module.loss(batch, step)


def named_tensors(module: nn.Module) -> Iterator[tuple[str, Tensor]]:
    """The parameters and buffers of a module, by name."""
    return chain(module.named_parameters(), module.named_buffers())


def over_members(values: Tensor, like: Tensor) -> Tensor:
    """(M,) -> (M, 1, ..., 1), to be broadcast over the rest of a stacked tensor."""
    return values.reshape(-1, *[1] * (like.ndim - 1))


def _told(error: RuntimeError) -> str | None:
    """What vmap cannot do, in one line with the way out; None for an error that is not about that."""
    if "randomness" in str(error):
        return (
            "the loss draws from torch's generator, which no member has alone: train such models, as HVAE and those of "
            "a GibbsMRF, one at a time; if the loss is yours, let it draw from a vae_lightning.randomness.Noise, as "
            "the objectives here do"
        )
    if said := re.match(r"vmap: (.+?)\.?(?: Please .*)?$", " ".join(str(error).split())):
        return (
            "an Ensemble computes the losses of all members at once, which some part of theirs does not allow, as "
            f"FlowEncoder does not ({said[1]}): train such models one at a time, as a sweep does"
        )
    return None


def _kind(tensor: Tensor) -> str:
    frozen = ", frozen" if isinstance(tensor, nn.Parameter) and not tensor.requires_grad else ""
    return f"{type(tensor).__name__}{tuple(tensor.shape)} of {str(tensor.dtype).removeprefix('torch.')}{frozen}"


_OF_OBJECTIVE = "objective."


def _differences(members: Sequence[LatentVariableModule]) -> tuple[Tensors, bool]:
    """Values that differ at every step alike, and whether the objectives' have to be asked for at each step."""
    found = differing(members)
    fixed = {name: values for name, values in found.items() if not name.startswith(_OF_OBJECTIVE)}
    scheduled = any(member.objective.at(0) is not member.objective for member in members)
    by_step = scheduled and len(fixed) < len(found)
    return _vectors(fixed if by_step else found, members[0]), by_step


def _vectors(differences: Mapping[str, Sequence[object]], module: nn.Module, prefix: str = "") -> Tensors:
    numbers = stackable(differences, module)
    return {prefix + name: torch.tensor(values, dtype=torch.float64) for name, values in numbers.items()}
