"""Replay: a stack's losses and their gradients, computed by replaying the tensor operations of an earlier step."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.fx import GraphModule
from torch.fx.experimental.proxy_tensor import make_fx
from torch.overrides import TorchFunctionMode

from vae_lightning.models.ensemble.noise import Request
from vae_lightning.models.ensemble.stack import Stack, StackedBatch, Tensors, named_tensors, over_members
from vae_lightning.process import let_autograd_count_devices

Inputs = tuple[Tensors, Tensors, StackedBatch, list[Tensor]]
"""All that the operations of a step read: weights and settings by name, data, noise."""

Result = tuple[Tensor, Tensors, list[Tensor | None]]
"""Losses (M,), figures (M,), and for each trained parameter its gradient if it has one."""

Optimised = Callable[[GraphModule, Inputs], Callable[..., Result]]
"""A graph and inputs it may be run with -> what gives the same results as the graph, faster."""


@dataclass(frozen=True)
class Recording:
    """A step's operations, and the noise they ask for."""

    run: Callable[..., Result]
    noise: Sequence[Request]


class Replay:
    """The losses of a `Stack`, with their gradients, without the overhead of `vmap` and autograd at every step.

    What a step does to tensors is recorded at the first step of its objective's kind, its backward pass too; this and
    all others of the kind run what `optimised` makes of it. So a loss may depend on the step through
    `objective.at(step)` alone. A step whose objective is made for it, and is of no kind, runs as it is written, as do
    all of members that override `loss`. Which of both is a function of the step, so that a resumed run does the same.
    """

    def __init__(self, stack: Stack, optimised: Optimised) -> None:
        self.stack, self.optimised = stack, optimised
        self.made: dict[tuple[object, ...], Recording] = {}
        self._modules = list(stack.module.modules())  # each of which may be held in evaluation mode

    def __call__(self, batch: StackedBatch, step: int) -> tuple[Float[Tensor, " M"], Tensors]:
        """`stack(batch, step)`, after `stack.noise.begin`."""
        kind = self.stack.kind_at(step)
        if kind is None:
            return self.stack(batch, step)
        tensors = dict(named_tensors(self.stack.module))
        trained = {name: tensor for name, tensor in tensors.items() if tensor.requires_grad}
        with self.stack.differing_values(step) as values:
            parts = tuple((part.shape, part.dtype, part.device) for part in batch)
            key = (kind, tuple(values), tuple(trained), parts, tuple(each.training for each in self._modules))
            if key not in self.made:
                self.made[key] = self._record(values, batch, step)
        recording, names = self.made[key], list[str]()

        def run() -> Result:
            noise = [self.stack.noise.stacked(request) for request in recording.noise]
            weights = {name: tensor.detach() for name, tensor in tensors.items()}
            with self.stack.differing_values(step) as values:
                result = recording.run(weights, values, batch, noise)
            names.extend(result[1])
            return result

        losses, *figures = _WithGradients.apply(run, *trained.values())
        return losses, dict(zip(names, figures, strict=True))

    def _record(self, values: Tensors, batch: StackedBatch, step: int) -> Recording:
        stack = self.stack
        keys = stack.noise.keys
        # copies: running statistics must not see this batch twice
        weights = {name: tensor.detach().clone() for name, tensor in named_tensors(stack.module)}
        with torch.no_grad():
            stack.losses(weights, values, batch, step)
        requests = list(stack.noise.drawn)
        inputs = (weights, values, batch, [stack.noise.stacked(request) for request in requests])
        let_autograd_count_devices()
        graph = make_fx(self._with_gradients(step))(*inputs)
        with torch.autocast(batch[0].device.type, enabled=False):  # what it casts is recorded
            run = self.optimised(graph, inputs)
        stack.noise.begin(*keys)
        return Recording(run, requests)

    def _with_gradients(self, step: int) -> Callable[..., Result]:
        """The step's losses, figures and gradients, as a function of all that they read."""
        trained = [name for name, parameter in self.stack.module.named_parameters() if parameter.requires_grad]

        def run(weights: Tensors, values: Tensors, batch: StackedBatch, noise: list[Tensor]) -> Result:
            with self.stack.noise.given(noise), torch.enable_grad(), _Unvalidated():
                weights = {name: w.requires_grad_(name in trained) for name, w in weights.items()}
                losses, figures = self.stack.losses(weights, values, batch, step)
                gradients = torch.autograd.grad(losses.sum(), [weights[name] for name in trained], allow_unused=True)
            return losses.detach(), {name: figure.detach() for name, figure in figures.items()}, list(gradients)

        return run


class _Unvalidated(TorchFunctionMode):
    """In this thread, torch's distributions find all arguments valid: a recording has no numbers to look at."""

    def __torch_function__(
        self,
        func: Callable[..., object],
        types: object,
        args: tuple[object, ...] = (),
        kwargs: dict[str, object] | None = None,
    ) -> object:
        return True if func is torch._is_all_true else func(*args, **(kwargs or {}))


class _WithGradients(torch.autograd.Function):
    """Losses and figures of a run; backward has the gradients already and scales them, member by member."""

    @staticmethod
    def forward(ctx: Any, run: Callable[[], Result], *trained: Tensor) -> tuple[Tensor, ...]:
        with torch.autocast(trained[0].device.type, enabled=False):  # what it casts is recorded
            losses, figures, ctx.gradients = run()
        of_their_own = [figure.detach() for figure in figures.values()]  # compiled, a figure may be the losses
        ctx.mark_non_differentiable(*of_their_own)
        return losses, *of_their_own

    @staticmethod
    def backward(ctx: Any, upstream: Tensor, *_: Tensor | None) -> tuple[Tensor | None, ...]:
        return None, *(None if g is None else g * over_members(upstream, g) for g in ctx.gradients)
