"""Recorded: a stack's losses and their gradients, computed by replaying the tensor operations of an earlier step."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.distributions import Distribution
from torch.fx.experimental.proxy_tensor import make_fx

from vae_lightning.models.feature_first import feature_first
from vae_lightning.models.folded import folded
from vae_lightning.models.member_noise import Request
from vae_lightning.models.stack import Stack, StackedBatch, across, state

Result = tuple[Tensor, dict[str, Tensor], list[Tensor | None]]
"""Losses (M,), figures (M,), and for each trained parameter its gradient if it has one."""


@dataclass(frozen=True, eq=False)
class Recording:
    """A step's operations, and the noise they ask for."""

    objective: Any
    replay: Callable[..., Result]
    noise: Sequence[Request]


class Recorded:
    """The losses of a `Stack`, with their gradients, at a third of the overhead of `vmap` and autograd.

    Where the objective of a step is an object of its own, not one made for this step, what the step does to tensors is
    recorded at its first such step, its backward pass too, and replayed at this and all others, laid out feature-first.
    So a loss may depend on the step through `objective.at(step)` alone. Other steps, as those of a warm-up, run as
    they are written. Which of both is a function of the step, so that a resumed run does the same.
    """

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        self.made: dict[tuple[Any, ...], Recording] = {}

    def __call__(self, batch: StackedBatch, step: int) -> tuple[Float[Tensor, " M"], dict[str, Tensor]]:
        """`stack(batch, step)`, after `stack.noise.begin`."""
        objective = self.stack.objective_at(step)
        if objective is None or objective is not self.stack.objective_at(step):
            return self.stack(batch, step)
        with self.stack.settings(step) as values:
            names_of_values = tuple(values)
        tensors = dict(state(self.stack.module))
        trained = {name: tensor for name, tensor in tensors.items() if tensor.requires_grad}
        # the recording keeps the objective, so that no other can have its id
        parts = tuple((part.shape, part.dtype, part.device) for part in batch)
        key = (id(objective), names_of_values, tuple(trained), parts)
        if key not in self.made:
            self.made[key] = self._record(objective, batch, step)
        recording = self.made[key]
        names: list[str] = []

        def run() -> Result:
            noise = [self.stack.noise.stacked(request) for request in recording.noise]
            weights = {name: tensor.detach() for name, tensor in tensors.items()}
            with self.stack.settings(step) as values:
                result = recording.replay(weights, values, batch, noise)
            names.extend(result[1])
            return result

        losses, *figures = _Replay.apply(run, *trained.values())
        return losses, dict(zip(names, figures, strict=True))

    def _record(self, objective: Any, batch: StackedBatch, step: int) -> Recording:
        stack = self.stack
        keys = stack.noise.keys
        # copies: running statistics must not see this batch twice
        weights = {name: tensor.detach().clone() for name, tensor in state(stack.module)}
        with torch.no_grad(), stack.settings(step) as values:
            stack.losses(weights, values, batch, step)
        requests = list(stack.noise.drawn)
        noise = [stack.noise.stacked(request) for request in requests]
        trained = [name for name, parameter in stack.module.named_parameters() if parameter.requires_grad]

        def step_of(weights: dict[str, Tensor], values: dict[str, Tensor], batch: StackedBatch, noise: Any) -> Result:
            with stack.noise.given(noise), torch.enable_grad(), _unvalidated():
                weights = {name: w.requires_grad_(name in trained) for name, w in weights.items()}
                losses, figures = stack.losses(weights, values, batch, step)
                gradients = torch.autograd.grad(losses.sum(), [weights[name] for name in trained], allow_unused=True)
            return losses.detach(), {name: figure.detach() for name, figure in figures.items()}, list(gradients)

        with stack.settings(step) as values:
            inputs = (weights, values, batch, noise)
            graph = feature_first(make_fx(step_of)(*inputs))
            with torch.autocast(batch[0].device.type, enabled=False):  # what it casts is recorded
                replay = folded(graph, *inputs)
        stack.noise.begin(*keys)
        return Recording(objective, replay, requests)


@contextmanager
def _unvalidated() -> Iterator[None]:
    """Within the block torch's distributions do not look at numbers, which a recording has none of."""
    before = Distribution._validate_args
    Distribution.set_default_validate_args(False)
    try:
        yield
    finally:
        Distribution.set_default_validate_args(before)


class _Replay(torch.autograd.Function):
    """Losses and figures of a replay; backward has the gradients already and scales them, member by member."""

    @staticmethod
    def forward(ctx: Any, run: Callable[[], Result], *trained: Tensor) -> tuple[Tensor, ...]:
        with torch.autocast(trained[0].device.type, enabled=False):  # what it casts is recorded
            losses, figures, ctx.gradients = run()
        ctx.mark_non_differentiable(*figures.values())
        return losses, *figures.values()

    @staticmethod
    def backward(ctx: Any, upstream: Tensor, *_: Any) -> tuple[Tensor | None, ...]:
        return None, *(None if g is None else g * across(upstream, g) for g in ctx.gradients)
