"""Execution: a stack of members -> what computes their losses at each step, as written, replayed or compiled."""

from __future__ import annotations

import abc
import os
import shlex
import shutil
import sys
from collections.abc import Callable
from typing import Any, TypeVar

import torch
from jaxtyping import Float
from torch import Tensor
from torch.distributions import Distribution
from torch.fx import GraphModule

from vae_lightning.models.ensemble.stack import Stack, StackedBatch
from vae_lightning.models.recording.fold_constants import fold_constants
from vae_lightning.models.recording.fusable import fusable
from vae_lightning.models.recording.layout import layout
from vae_lightning.models.recording.remove_identities import remove_identities
from vae_lightning.models.recording.replay import Inputs, Replay, Result
from vae_lightning.process import let_autograd_count_devices

# What each gains, with 50 members and 500 observations: milliseconds of processor time a member and step in a bare
# loop, their ratio to `Replayed`'s, and seconds of the first 15 steps (benchmarks/recording.py; measured beside other
# work on the machine: trust the ratios).
#
#                                    linear VAE           50 hidden units      Henze-Zirkler
#   Eager                            0.179   1.99   0.1   0.312   1.62   0.2   0.527   1.39   0.4
#   a recording replayed as it is    0.143   1.55   0.4   0.267   1.38   1.1   0.457   1.22   0.7
#     + remove_identities            0.137   1.49   0.3   0.261   1.35   0.5   0.447   1.17   0.7
#     + fold_constants               0.131   1.42   0.4   0.251   1.30   0.5   0.444   1.16   1.5
#     + layout: Replayed             0.091   1.00   0.7   0.192   1.00   0.5   0.382   1.00   0.7
#   torch.compile without passes     0.096   1.06    20   0.192   0.98     5   0.373   0.99    12
#   after all passes: Compiled       0.066   0.72     8   0.138   0.70     7   0.234   0.62    13
#
# The first compilation of a process takes some 12 seconds more than later ones: hence the 20. `Automatic`, the default,
# replays short runs and compiles long ones.

Made = TypeVar("Made")

Losses = Callable[[StackedBatch, int], tuple[Float[Tensor, " M"], dict[str, Tensor]]]
"""(batch, step) -> each member's loss and figures."""


class Execution(abc.ABC):
    """How the losses of an `Ensemble`, and their gradients, are computed in training."""

    @abc.abstractmethod
    def losses(self, stack: Stack) -> Losses:
        """The losses of these members, `stack(batch, step)`, in this way."""

    def in_run(self, steps: float) -> Execution:
        """The way of a run of so many optimizer steps: this one, unless it chooses by them."""
        return self


class Eager(Execution):
    """Run each step as it is written, so that a debugger stops in the formulas."""

    def losses(self, stack: Stack) -> Losses:
        """The stack's own."""
        return stack.forward


class Recorded(Execution, abc.ABC):
    """Record the tensor operations of a step once, forward and backward, and run what `optimised` makes of them."""

    def losses(self, stack: Stack) -> Losses:
        """A recording for each kind of step, made when it first comes."""
        return Replay(stack, self.optimised)

    @abc.abstractmethod
    def optimised(self, graph: GraphModule, inputs: Inputs) -> Callable[..., Result]:
        """What computes the same as the graph, faster; it may be run with these inputs and write into them."""


class Replayed(Recorded):
    """Replay the operations, laid out feature-first, without those that change nothing and those of constants alone."""

    def optimised(self, graph: GraphModule, inputs: Inputs) -> Callable[..., Result]:
        """The graph after three passes."""
        return after_passes(graph, inputs)


class Compiled(Recorded):
    """Compile what is left after the same passes by `torch.compile`, into CUDA graphs on GPUs.

    Each kind of step takes ten seconds or more to compile, so it is for long runs. ValueError without a C++ compiler,
    on CPUs.
    """

    def optimised(self, graph: GraphModule, inputs: Inputs) -> Callable[..., Result]:
        """The graph after the passes, compiled at its first run."""
        on_gpu = inputs[2][0].is_cuda
        if not on_gpu:
            require_compiler("Compiled", "leave the ensemble's execution out: Replayed needs none")
        return compiled_graph(after_passes(graph, inputs), on_gpu)


def after_passes(graph: GraphModule, inputs: Inputs) -> GraphModule:
    """The graph after all three passes."""
    return fold_constants(remove_identities(layout(graph)), inputs)


def compiled_graph(graph: GraphModule, on_gpu: bool) -> Callable[..., Result]:
    """What `torch.compile` makes of a graph, at its first run."""
    run = compiled(fusable(graph), fullgraph=True, mode="reduce-overhead" if on_gpu else None)
    return _copied(run) if on_gpu else run


def _copied(run: Callable[..., Result]) -> Callable[..., Result]:
    """Copy losses and figures, which a CUDA graph writes where the last were; gradients are used before that."""

    def copied(*inputs: object) -> Result:
        torch.compiler.cudagraph_mark_step_begin()
        losses, figures, gradients = run(*inputs)
        return losses.clone(), {name: figure.clone() for name, figure in figures.items()}, gradients

    return copied


def compiled(run: Callable[..., Made], **how: Any) -> Callable[..., Made]:
    """The same function by `torch.compile`, for each shape of its tensors anew."""
    let_autograd_count_devices()
    checks = Distribution._validate_args
    made = torch.compile(run, dynamic=False, **how)
    Distribution.set_default_validate_args(checks)  # torch.compile turns them off, in the whole process
    return made


def require_compiler(what: str, instead: str, on_gpu: bool = False) -> None:
    """ValueError without the compiler that torch needs here: for C++ on a CPU, for C on a GPU, as it looks for them."""
    language, variable, named = _compiler(on_gpu)
    if not has_compiler(on_gpu):
        raise ValueError(
            f"{what} needs a {language} compiler, and there is no {named!r}: install one, name yours in {variable}, or "
            f"{instead}"
        )


def has_compiler(on_gpu: bool = False) -> bool:
    """Whether there is the compiler that torch needs here."""
    *_, named = _compiler(on_gpu)
    return shutil.which(shlex.split(named)[0]) is not None


def _compiler(on_gpu: bool) -> tuple[str, str, str]:
    """Its language, the variable that names it, and its name."""
    language, variable = ("C", "CC") if on_gpu else ("C++", "CXX")
    usual = {"C": "cc", "C++": "clang++" if sys.platform == "darwin" else "g++"}[language]
    return language, variable, os.environ.get(variable, usual)
