"""Quadrature in the plane: a log-density and a box around its mass -> the logarithm of its integral."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from jaxtyping import Float64
from torch import Tensor

NEGLIGIBLE = 38.0
"""What lies this many nats below the highest point adds less than the rounding of a float64."""


def log_integral(
    log_density: Callable[[Float64[Tensor, "B nodes 2"]], Float64[Tensor, "B nodes"]],
    low: Float64[Tensor, "B 2"],
    high: Float64[Tensor, "B 2"],
    nodes: int = 64,
    zooms: int = 3,
) -> Float64[Tensor, " B"]:
    """Log of the integral of exp(log_density) over boxes [low, high], by Gauss-Legendre rules of nodes^2 points.

    First each box shrinks a few times, on a grid of half as many nodes a side, to the nodes within `NEGLIGIBLE` nats
    of its highest and their neighbours. Differentiable in what `log_density` depends on.
    """
    with torch.no_grad():
        for _ in range(zooms):
            rule, _ = _gauss_legendre(nodes // 2, low)
            low, high = _zoom(*_evaluate(log_density, low, high, rule), low, high)
    rule, log_weights = _gauss_legendre(nodes, low)
    values, _ = _evaluate(log_density, low, high, rule)
    return (values + log_weights[:, None] + log_weights).flatten(1).logsumexp(-1) + (high - low).log().sum(-1)


def _gauss_legendre(nodes: int, like: Tensor) -> tuple[Tensor, Tensor]:
    """Nodes in [0, 1] and the logarithms of their weights, which sum to one."""
    rule, weights = np.polynomial.legendre.leggauss(nodes)
    return torch.from_numpy((rule + 1) / 2).to(like), torch.from_numpy(weights / 2).log().to(like)


def _evaluate(
    log_density: Callable[[Tensor], Tensor], low: Tensor, high: Tensor, rule: Tensor
) -> tuple[Tensor, Tensor]:
    """The log-density (B, nodes, nodes) on the grid of lines (B, 2, nodes)."""
    lines = low[..., None] + (high - low)[..., None] * rule
    nodes = len(rule)
    first, second = lines[:, 0, :, None].expand(-1, -1, nodes), lines[:, 1, None, :].expand(-1, nodes, -1)
    values = log_density(torch.stack([first, second], -1).flatten(1, 2))
    return values.unflatten(1, (nodes, nodes)), lines


def _zoom(values: Tensor, lines: Tensor, low: Tensor, high: Tensor) -> tuple[Tensor, Tensor]:
    """The box between the nodes just outside those that matter, for each axis."""
    profile = torch.stack([values.amax(2), values.amax(1)], 1)
    matters = profile > profile.amax(-1, keepdim=True) - NEGLIGIBLE
    edges = torch.cat([low[..., None], lines, high[..., None]], -1)  # node i is edge i + 1
    first = matters.int().argmax(-1, keepdim=True)
    last = matters.shape[-1] - 1 - matters.flip(-1).int().argmax(-1, keepdim=True)
    return edges.gather(-1, first)[..., 0], edges.gather(-1, last + 2)[..., 0]
