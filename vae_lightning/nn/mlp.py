"""MLP: fully connected layers, tensors -> tensors."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from math import prod

from jaxtyping import Float
from torch import Tensor, nn


class MLP(nn.Module):
    """Flatten the context, then `Linear -> activation` for each hidden width, then `Linear` to the outputs.

    `hidden=()` is a single linear map.

    Examples:
        >>> import torch
        >>> from vae_lightning.nn import MLP
        >>> MLP((1, 8, 8), 4)(torch.rand(5, 1, 8, 8)).shape  # linear
        torch.Size([5, 4])
        >>> sum(p.numel() for p in MLP((1, 8, 8), 4, hidden=[10]).parameters())  # 64 x 10 + 10 + 10 x 4 + 4
        694
    """

    def __init__(
        self,
        context_shape: Sequence[int],
        num_outputs: int,
        hidden: Sequence[int] = (),
        activation: Callable[[], nn.Module] = nn.ReLU,
    ) -> None:
        super().__init__()
        self.context_dims = len(context_shape)
        self.hidden = hidden_layers(prod(context_shape), hidden, activation)
        self.output = nn.Linear((prod(context_shape), *hidden)[-1], num_outputs)

    def forward(self, c: Float[Tensor, "*batch_and_context"]) -> Float[Tensor, "*batch outputs"]:
        """(*B, *C) -> (*B, P)."""
        return self.output(self.hidden(c.flatten(c.ndim - self.context_dims) if self.context_dims else c[..., None]))


def hidden_layers(width: int, hidden: Sequence[int], activation: Callable[[], nn.Module]) -> nn.Sequential:
    """`Linear -> activation` for each hidden width; nothing for none."""
    layers = nn.Sequential()
    for inputs, outputs in pairwise((width, *hidden)):
        layers.append(nn.Linear(inputs, outputs)).append(activation())
    return layers
