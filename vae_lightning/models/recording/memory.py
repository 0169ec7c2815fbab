"""Memory: a graph's nodes -> those whose values are written into, and those that whoever has the results may write."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from torch._ops import OpOverload
from torch.fx import Node


def written(nodes: Iterable[Node]) -> set[Node]:
    """What is written in place, and all that may share its memory."""
    memory = _memory(nodes)
    targets = set[Node]().union(*(memory[given] for node in memory for given in _writes_into(node)))
    return {node for node, parts in memory.items() if parts & targets}


def exposed(nodes: Iterable[Node]) -> set[Node]:
    """The same of what is written in place, or returned and so may be."""
    memory = _memory(nodes)
    returned = [given for node in memory if node.op == "output" for given in node.all_input_nodes]
    targets = written(memory).union(*(memory[given] for given in returned))
    return {node for node, parts in memory.items() if parts & targets}


def _memory(nodes: Iterable[Node]) -> dict[Node, set[Node]]:
    """Of each node, in whose memory its value may lie."""
    memory: dict[Node, set[Node]] = {}
    for node in nodes:
        memory[node] = {node}.union(*(memory[given] for given in node.all_input_nodes if _shares(node)))
    return memory


def _shares(node: Node) -> bool:
    """Whether its value may lie in the memory of one it is given, as a view does; of what has no schema, it may."""
    if not isinstance(node.target, OpOverload):
        return True
    return any(made.alias_info is not None for made in node.target._schema.returns)


def _writes_into(node: Node) -> Iterator[Node]:
    arguments = node.target._schema.arguments if isinstance(node.target, OpOverload) else ()
    for number, argument in enumerate(arguments):
        if argument.alias_info is not None and argument.alias_info.is_write:
            given = node.args[number] if number < len(node.args) else node.kwargs.get(argument.name)
            yield from (
                each for each in (given if isinstance(given, list | tuple) else [given]) if isinstance(each, Node)
            )
