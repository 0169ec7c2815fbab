"""fold_constants: a graph of tensor operations -> one in which what is the same at every step is computed once."""

from __future__ import annotations

from collections.abc import Iterable, Sequence, Set
from typing import Any

import torch
from torch import Tensor
from torch._ops import OpOverload
from torch.fx import GraphModule, Interpreter, Node

from vae_lightning.models.recording.memory import exposed

_aten = torch.ops.aten
_FILLED = {_aten.full_like.default, _aten.ones_like.default, _aten.zeros_like.default}


def fold_constants(module: GraphModule, inputs: Sequence[object]) -> GraphModule:
    """Put constants in place of what depends on the inputs by their shapes alone; drop what nobody reads.

    The shapes of a recording never change. So the part of a backward pass before it meets a weight or the data, or the
    logarithm of a variance that is not learned, is the same at every step, and is read off a run with `inputs`, into
    which the graph may write. Values stay the same, bit for bit.
    """
    graph = module.graph
    values = _Values(module, _constants(graph.nodes)).of(inputs)
    for number, (node, value) in enumerate(values.items()):
        module.register_buffer(name := f"constant_{number}", value)
        with graph.inserting_before(node):
            node.replace_all_uses_with(graph.get_attr(name))
    graph.eliminate_dead_code()
    module.recompile()
    return module


def _constants(nodes: Iterable[Node]) -> set[Node]:
    """What depends on shapes alone, and is neither drawn nor written into."""
    found, may_change = set[Node](), exposed(nodes)
    for node in nodes:
        drawn = isinstance(node.target, OpOverload) and torch.Tag.nondeterministic_seeded in node.target.tags
        if node.op != "call_function" or drawn or node in may_change:
            continue
        if node.target in _FILLED or found.issuperset(node.all_input_nodes):
            found.add(node)
    return found


class _Values(Interpreter):
    """Runs a graph and keeps those of its constant tensors that others read."""

    def __init__(self, module: GraphModule, constants: Set[Node]) -> None:
        super().__init__(module)
        self.read = {node for node in constants if not constants >= node.users.keys()}
        self.values: dict[Node, Tensor] = {}

    def of(self, inputs: Sequence[object]) -> dict[Node, Tensor]:
        with torch.no_grad():
            self.run(*inputs)
        return self.values

    def run_node(self, n: Node) -> Any:
        value = super().run_node(n)
        if n in self.read and isinstance(value, Tensor):
            self.values[n] = value
        return value
