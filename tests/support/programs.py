"""Programs of one tensor, recorded as graphs: what tests of passes share."""

from __future__ import annotations

from collections.abc import Callable

import torch
from hypothesis import strategies as st
from torch import Tensor
from torch.fx import GraphModule
from torch.fx.experimental.proxy_tensor import make_fx

from vae_lightning.models.recording.fold_constants import fold_constants
from vae_lightning.models.recording.layout import layout
from vae_lightning.models.recording.remove_identities import remove_identities

SHAPE = (2, 20, 3)  # members, rows, few features

Program = Callable[[Tensor], list[Tensor]]
Pass = Callable[[Program], GraphModule]


def drawn(seed: int) -> Tensor:
    """An input."""
    return torch.randn(SHAPE, generator=torch.Generator().manual_seed(seed))


def unchanged(program: Program) -> GraphModule:
    """The recording of a program by itself."""
    return make_fx(program)(drawn(0))


def without_identities(program: Program) -> GraphModule:
    """Its recording after `remove_identities` alone."""
    return remove_identities(unchanged(program))


def with_constants(program: Program) -> GraphModule:
    """Its recording after `fold_constants` alone."""
    return fold_constants(unchanged(program), [drawn(0)])


def laid_out(program: Program) -> GraphModule:
    """Its recording after `layout` alone."""
    return layout(unchanged(program))


def after_all(program: Program) -> GraphModule:
    """Its recording after the three."""
    return fold_constants(remove_identities(laid_out(program)), [drawn(0)])


def operations(graph: GraphModule) -> list[str]:
    """The names of a graph's operations, as `exp`, in their order."""
    nodes = [node for node in graph.graph.nodes if node.op == "call_function"]
    return [str(node.target).removeprefix("aten.").partition(".")[0] for node in nodes]


def assert_same(graph: GraphModule, program: Program, rtol: float = 0.0, atol: float = 0.0) -> None:
    """The graph does what the program does, time after time: its results, and what it writes into its input."""
    for seed in (1, 2, 1):
        for_program, for_graph = drawn(seed), drawn(seed)
        torch.testing.assert_close(graph(for_graph), program(for_program), rtol=rtol, atol=atol)
        torch.testing.assert_close(for_graph, for_program, rtol=rtol, atol=atol)


OPERATIONS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "times one": lambda a, b: a * 1.0,
    "same shape": lambda a, b: a.reshape(SHAPE),
    "expanded to its shape": lambda a, b: a.expand(SHAPE),
    "transposed twice": lambda a, b: a.mT.mT,
    "sum": lambda a, b: a + b,
    "sum in place": lambda a, b: a.add_(b),
    "halved as a flat view": lambda a, b: a.view(-1).mul_(0.5).view(SHAPE),
    "a row filled, and spread": lambda a, b: a[:, 1:2].fill_(0.25).expand(SHAPE),
    "constant": lambda a, b: torch.full_like(a, 0.5),
    "constant written into": lambda a, b: torch.zeros_like(a).add_(b),
    "constants' difference": lambda a, b: torch.ones_like(a).sub(torch.zeros(3)),
    "chosen": lambda a, b: torch.where(a > 0, b, torch.scalar_tensor(0.0)),
    "product": lambda a, b: a @ torch.full((2, 3, 3), 0.5),
    "joined": lambda a, b: torch.cat([a[..., :1], b[..., 1:]], -1),
    "spread over features": lambda a, b: a.sum(-1, keepdim=True).expand(SHAPE),
    "read by strides": lambda a, b: a.as_strided(SHAPE, (60, 3, 1)) + b,
}


@st.composite
def programs(draw: st.DrawFn) -> Program:
    """Any: each operation takes two of the tensors that are there, and all of them are looked at in the end."""
    number = st.integers(0, 99)
    steps = draw(st.lists(st.tuples(st.sampled_from(list(OPERATIONS)), number, number), max_size=12))

    def program(x: Tensor) -> list[Tensor]:
        made = [x, x * 2]
        for name, one, other in steps:
            made.append(OPERATIONS[name](made[one % len(made)].contiguous(), made[other % len(made)]))
        return [tensor + 0.0 for tensor in made]

    return program
