"""folded: a graph of tensor operations -> one with the same values by fewer: what never changes is computed once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Set
from typing import Any

import torch
from torch import Tensor
from torch.fx import GraphModule, Interpreter, Node

_aten = torch.ops.aten
_VIEWS = {_aten.view.default, _aten.reshape.default, _aten.expand.default, _aten.alias.default}
_FACTORS = {_aten.mul.Tensor, _aten.mul.Scalar, _aten.div.Tensor, _aten.div.Scalar, _aten.pow.Tensor_Scalar}
_FILLED = {_aten.full_like.default, _aten.ones_like.default, _aten.zeros_like.default}


def folded(module: GraphModule, *inputs: Any) -> GraphModule:
    """Leave out what gives back what it is given; take for constant what inputs reach by their shapes alone.

    The shapes of a recording never change. So the part of a backward pass before it meets a weight or the data, or the
    logarithm of a variance that is not learned, is the same at every step, and is read off a run with `inputs`, into
    which the graph may write. Values stay the same, bit for bit.
    """
    graph = module.graph
    written = _written(graph.nodes)
    for node in list(graph.nodes):
        if _gives_back(node, written):
            node.replace_all_uses_with(node.args[0])
            graph.erase_node(node)
    values = _Values(module, _constants(graph.nodes, written)).of(*inputs)
    for number, (node, value) in enumerate(values.items()):
        module.register_buffer(name := f"folded_{number}", value)
        with graph.inserting_before(node):
            node.replace_all_uses_with(graph.get_attr(name))
    graph.eliminate_dead_code()
    module.recompile()
    return module


def _gives_back(node: Node, written: Set[Node]) -> bool:
    """A view of the same shape; a factor, divisor or power of 1 that need be no copy. What is returned stays itself."""
    given = node.args[0] if node.args else None
    if not isinstance(given, Node) or any(user.op == "output" for user in node.users):
        return False
    kinds = [(val.shape, val.dtype) for val in (given.meta.get("val"), node.meta.get("val")) if isinstance(val, Tensor)]
    if len(kinds) < 2 or kinds[0] != kinds[1]:
        return False
    return node.target in _VIEWS or (node.target in _FACTORS and node.args[1:] == (1,) and not {given, node} & written)


def _constants(nodes: Iterable[Node], written: Set[Node]) -> set[Node]:
    """What depends on shapes alone."""
    found = set[Node]()
    for node in nodes:
        drawn = torch.Tag.nondeterministic_seeded in getattr(node.target, "tags", ())
        if node.op != "call_function" or drawn or node in written:
            continue
        if node.target in _FILLED or found.issuperset(node.all_input_nodes):
            found.add(node)
    return found


def _written(nodes: Iterable[Node]) -> set[Node]:
    """What is written in place, or returned and so may be, and all that may share its memory."""
    memory: dict[Node, set[Node]] = {}
    targets = set[Node]()
    for node in nodes:
        memory[node] = {node}.union(*(memory[given] for given in node.all_input_nodes if _shares(node)))
        targets.update(*(memory[given] for given in _writes_into(node)))
    return {node for node, parts in memory.items() if parts & targets}


def _shares(node: Node) -> bool:
    """Whether its value may lie in the memory of one it is given, as a view does; of what has no schema, it may."""
    schema = getattr(node.target, "_schema", None)
    return schema is None or any(made.alias_info is not None for made in schema.returns)


def _writes_into(node: Node) -> Iterator[Node]:
    if node.op == "output":
        yield from node.all_input_nodes
    schema = getattr(node.target, "_schema", None)
    for number, argument in enumerate(() if schema is None else schema.arguments):
        if argument.alias_info is not None and argument.alias_info.is_write:
            given = node.args[number] if number < len(node.args) else node.kwargs.get(argument.name)
            yield from (
                each for each in (given if isinstance(given, list | tuple) else [given]) if isinstance(each, Node)
            )


class _Values(Interpreter):
    """Runs a graph and keeps those of its constant tensors that others read."""

    def __init__(self, module: GraphModule, constants: Set[Node]) -> None:
        super().__init__(module)
        self.read = {node for node in constants if not constants >= node.users.keys()}
        self.values: dict[Node, Tensor] = {}

    def of(self, *inputs: Any) -> dict[Node, Tensor]:
        with torch.no_grad():
            self.run(*inputs)
        return self.values

    def run_node(self, n: Node) -> Any:
        value = super().run_node(n)
        if n in self.read and isinstance(value, Tensor):
            self.values[n] = value
        return value
