"""Automatic: a run of so many steps -> each kind of step compiled if that pays for itself, else replayed."""

from __future__ import annotations

import math
import random
import warnings
from collections.abc import Callable, Iterable
from functools import partial

import torch
from jaxtyping import Float
from lightning.pytorch.utilities import rank_zero_info, rank_zero_warn
from torch import Tensor
from torch._dynamo.exc import BackendCompilerFailed
from torch.fx import GraphModule, Node
from torch.utils._pytree import tree_map

from vae_lightning.models.ensemble.stack import Stack, StackedBatch, Tensors
from vae_lightning.models.recording.execution import (
    Execution,
    Losses,
    after_passes,
    compiled_graph,
    has_compiler,
)
from vae_lightning.models.recording.fusable import is_fusable
from vae_lightning.models.recording.replay import Inputs, Replay, Result
from vae_lightning.objectives.base import Kind

_PROBES = 1_000


class Automatic(Execution):
    """Compile the kinds of step that a run has so many of that compiling pays for itself; replay the others.

    On CPUs with a C++ compiler. What pays is a function of the operations and of the length of the whole run, so that a
    resumed run does as the one it resumes. Where compiling fails a line says so, and the steps are replayed. So are
    those of a run whose length is not known, which `max_time` alone or somebody ends: `Compiled()` compiles them.
    """

    def __init__(self) -> None:
        self._steps = 0

    def in_run(self, steps: float) -> Execution:
        """The same for a run of so many steps; infinitely many are of one whose length is not known."""
        of_run = Automatic()
        of_run._steps = int(steps) if math.isfinite(steps) else 0
        return of_run

    def losses(self, stack: Stack) -> Losses:
        """The stack's, by what pays for each kind of step; replayed as long as no run is known."""
        return _ByKind(stack, self._steps)


class _ByKind:
    """The losses of a stack in a run of so many steps."""

    def __init__(self, stack: Stack, steps: int) -> None:
        self.stack, self.steps = stack, steps
        self._counts: dict[Kind, int] = {}
        self._replays: dict[int, Replay] = {}

    def __call__(self, batch: StackedBatch, step: int) -> tuple[Float[Tensor, " M"], Tensors]:
        """`stack(batch, step)`."""
        count = self._count(step)
        if count not in self._replays:
            self._replays[count] = Replay(self.stack, partial(_optimised, count))
        return self._replays[count](batch, step)

    def _count(self, step: int) -> int:
        """About how many steps of the run are of this one's kind: exactly those in a short run, else by a sample."""
        kind = self.stack.kind_at(step)
        if kind is None:
            return 0
        if kind not in self._counts:
            probes = random.Random(0).sample(range(self.steps), min(self.steps, _PROBES))
            found = sum(self.stack.kind_at(probe) == kind for probe in probes)
            self._counts[kind] = found * self.steps // max(1, len(probes))
        return self._counts[kind]


def _optimised(steps: int, graph: GraphModule, inputs: Inputs) -> Callable[..., Result]:
    """What makes the most of a graph that is run so often."""
    on_cpu = inputs[2][0].device.type == "cpu"
    replayed = after_passes(graph, inputs)
    if not (on_cpu and pays(replayed.graph.nodes, steps) and has_compiler()):
        return replayed
    rank_zero_info(f"Compiling a step that this run takes about {steps:,} times; execution=Replayed() leaves that out")
    try:
        made = compiled_graph(replayed, on_gpu=False)
        with warnings.catch_warnings(), torch.no_grad():
            warnings.simplefilter("ignore")  # those of torch to itself
            made(*tree_map(torch.detach, inputs))  # compiles, for inputs as they come later
    except Exception as error:
        rank_zero_warn(f"a step could not be compiled, and is replayed ({_first_line(error)})")
        return replayed
    return made


def pays(nodes: Iterable[Node], steps: int) -> bool:
    """Whether so many steps save, compiled, half as much again as compiling takes.

    Of the operations of a recording each takes 5 microseconds to call, and its numbers some 0.08 nanoseconds each to
    go through memory once more, a pair of `fused_henze_zirkler` 0.5; it takes 12 seconds to compile, the first time in
    a process, and 0.03 for each operation. In benchmarks/recording.py, linear members have to make 21,100 steps, with
    that statistic in their loss 3,800, those of 50 hidden units 13,700.
    """
    calls = [node for node in nodes if node.op == "call_function"]
    saved = 5e-6 * len(calls) + 8e-11 * sum(map(_numbers, calls))
    return steps * saved > 1.5 * (12.0 + 0.03 * len(calls))


def _numbers(node: Node) -> int:
    """How many an operation makes; a pair of observations counts as six where they become one loop."""
    made = node.meta.get("val")
    if not isinstance(made, Tensor):
        return 0
    return made.numel() * (6 * made.shape[-1] // made.shape[-2] if is_fusable(node) else 1)


def _first_line(error: Exception) -> str:
    error = error.inner_exception if isinstance(error, BackendCompilerFailed) else error
    told = str(error).strip().splitlines()
    return f"{type(error).__name__}: {told[0]}" if told else type(error).__name__
