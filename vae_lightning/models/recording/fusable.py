"""fusable: a graph of tensor operations -> the same, written so that a compiler makes one loop of what is one here."""

from __future__ import annotations

import copy

import torch
from torch.fx import GraphModule, Node

from vae_lightning.metrics.functional.henze_zirkler_fused import fusable_kernel_sums

_SUMS_OF_PAIRS = torch.ops.vae_lightning.kernel_sums.default
_MOST = 6  # features, above which torch's compiler would keep the kernel of all pairs in memory


def fusable(module: GraphModule) -> GraphModule:
    """A copy in which the sums over all pairs of `fused_henze_zirkler` are a formula, and no operation of their own.

    Values stay the same but for rounding. As a formula that is not compiled they would take memory for all pairs.
    """
    made = GraphModule(module, copy.deepcopy(module.graph))
    for node in made.graph.nodes:
        if is_fusable(node):
            node.target = fusable_kernel_sums
    made.recompile()
    return made


def is_fusable(node: Node) -> bool:
    """Whether it is such a sum, of few enough features."""
    return node.target is _SUMS_OF_PAIRS and int(node.meta["val"].shape[1]) - 1 <= _MOST
