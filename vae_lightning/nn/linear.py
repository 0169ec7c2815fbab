"""LinearMap: vectors -> W z, without bias."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn


class LinearMap(nn.Module):
    """z -> W z, without bias: the decoder of `data.processes.Gaussian`. ValueError unless the context is a vector.

    Examples:
        >>> import torch
        >>> from vae_lightning.nn import LinearMap
        >>> network = LinearMap((2,), 3)
        >>> network(torch.zeros(5, 2)).abs().sum().item()  # without a bias
        0.0
    """

    def __init__(self, context_shape: Sequence[int], num_outputs: int) -> None:
        super().__init__()
        width = vector_width(self, context_shape)
        self.weight = nn.Parameter(torch.randn(num_outputs, width) / math.sqrt(width))

    def forward(self, c: Float[Tensor, "*batch inputs"]) -> Float[Tensor, "*batch outputs"]:
        """(*B, C) -> (*B, P)."""
        return c @ self.weight.mT


def vector_width(module: nn.Module, context_shape: Sequence[int]) -> int:
    """The length of the vectors that a module maps; ValueError for contexts that are no vectors."""
    if len(context_shape) != 1:
        raise ValueError(f"{type(module).__name__} maps vectors; got contexts of shape {tuple(context_shape)}")
    return context_shape[0]
