"""layout: a graph of tensor operations -> the same operations on tensors that lie feature-first in memory."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, cast

import torch
from torch import Tensor
from torch.fx import GraphModule, Node

from vae_lightning.models.recording.memory import written

_SHORT = 16  # along a last axis shorter than this, loops take longer to begin than to run
_aten = torch.ops.aten
_VIEWS = {_aten.view.default, _aten._unsafe_view.default}
_BY_STRIDES = {_aten.as_strided.default, _aten.view.dtype, _aten.view_as_complex.default}


def layout(module: GraphModule) -> GraphModule:
    """Let tensors (..., rows, features) of few features be made transposed: products, joins, gradients of sums, inputs.

    Elementwise operations keep the order in memory of what they are given, so that their loops run along the rows: with
    two features they take a fifth of the time. Shapes stay as they are, and values but for rounding. What is written
    into stays as it is, and so does a graph in which an operation asks how such a tensor lies in memory.
    """
    graph = module.graph
    stays = written(graph.nodes)
    made = [node for node in graph.nodes if node not in stays and _few_features(node) and _can_be_laid(node)]
    if any(node.target in _BY_STRIDES or (node.target in _VIEWS and node in stays) for node in _after(made)):
        return module
    for node in graph.nodes:
        if node.target in _VIEWS and node not in stays:
            node.target = _aten.reshape.default
    for node in made:
        _lay(node)
    module.recompile()
    return module


def _lay(node: Node) -> None:
    """Have its users read in its place what lies transposed."""
    users = list(node.users)
    with node.graph.inserting_before(node.next):
        laid = _transposed(_laid.get(node.target, _copied)(node))
    laid.meta["val"] = node.meta["val"]
    for user in users:
        user.replace_input_with(node, laid)
    if not node.users and node.op != "placeholder":
        node.graph.erase_node(node)


def _transposed(node: Node) -> Node:
    return node.graph.call_function(_aten.transpose.int, (node, -2, -1))


def _product(node: Node) -> Node:
    left, right = cast(tuple[Node, Node], node.args)
    return node.graph.call_function(_aten.bmm.default, (_transposed(right), _transposed(left)))


def _join(node: Node) -> Node:
    parts = cast(Sequence[Node], node.args[0])
    return node.graph.call_function(_aten.cat.default, ([_transposed(part) for part in parts], -2))


def _copied(node: Node) -> Node:
    return node.graph.call_function(_aten.contiguous.default, (_transposed(node),))


_laid: dict[Any, Callable[[Node], Node]] = {_aten.bmm.default: _product, _aten.cat.default: _join}


def _after(nodes: Iterable[Node]) -> set[Node]:
    """All that depends on these."""
    found, left = set[Node](), list(nodes)
    while left:
        users = left.pop().users.keys() - found
        found |= users
        left.extend(users)
    return found


def _can_be_laid(node: Node) -> bool:
    joins = node.target is _aten.cat.default and node.args[1:] in ((-1,), (node.meta["val"].ndim - 1,))
    return node.target is _aten.bmm.default or joins or node.op == "placeholder" or _spreads_over_features(node)


def _few_features(node: Node) -> bool:
    made = node.meta.get("val")
    return isinstance(made, Tensor) and made.ndim > 2 and made.shape[-1] < _SHORT < made.shape[-2]


def _spreads_over_features(node: Node) -> bool:
    if node.target is not _aten.expand.default:
        return False
    spread = node.args[0].meta.get("val") if isinstance(node.args[0], Node) else None
    return isinstance(spread, Tensor) and spread.shape[-1:] == (1,)
