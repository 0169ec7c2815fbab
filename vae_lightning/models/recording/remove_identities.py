"""remove_identities: a graph of tensor operations -> one without those that give back what they are given."""

from __future__ import annotations

from collections.abc import Set

import torch
from torch import Tensor
from torch.fx import GraphModule, Node

from vae_lightning.models.recording.memory import exposed

_aten = torch.ops.aten
_VIEWS = {_aten.view.default, _aten.reshape.default, _aten.expand.default, _aten.alias.default}
_FACTORS = {_aten.mul.Tensor, _aten.mul.Scalar, _aten.div.Tensor, _aten.div.Scalar, _aten.pow.Tensor_Scalar}


def remove_identities(module: GraphModule) -> GraphModule:
    """Leave out views of the same shape, and factors, divisors and powers of 1 that need be no copies.

    What is returned stays a tensor of its own. Values stay the same, bit for bit.
    """
    graph = module.graph
    may_change = exposed(graph.nodes)
    for node in list(graph.nodes):
        if _is_identity(node, may_change):
            node.replace_all_uses_with(node.args[0])
            graph.erase_node(node)
    module.recompile()
    return module


def _is_identity(node: Node, may_change: Set[Node]) -> bool:
    given = node.args[0] if node.args else None
    if not isinstance(given, Node) or any(user.op == "output" for user in node.users):
        return False
    kinds = [(val.shape, val.dtype) for val in (given.meta.get("val"), node.meta.get("val")) if isinstance(val, Tensor)]
    if len(kinds) < 2 or kinds[0] != kinds[1]:
        return False
    is_factor = node.target in _FACTORS and node.args[1:] == (1,)
    return node.target in _VIEWS or (is_factor and not {given, node} & may_change)
