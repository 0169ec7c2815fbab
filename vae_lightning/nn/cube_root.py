"""CubeRootMLP: an encoder for observations that are cubes, with units that undo them."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

import torch
from jaxtyping import Float
from torch import Tensor, nn

from vae_lightning.nn.mlp import MLP

_ROUNDING = 1e-8


class SigmoidAndCubeRoot(nn.Module):
    """The sigmoid of the first half of its inputs, the cube root of the others: (*, 2 k) -> (*, 2 k).

    The cube root is x / (x^2 + 1e-8)^(1/3), which differs from sign(x) |x|^(1/3) by less than 0.4 % of it where
    |x| > 1e-3, and whose slope at 0 is 464 rather than infinite.
    """

    def forward(self, x: Float[Tensor, "*batch units"]) -> Float[Tensor, "*batch units"]:
        """The activations."""
        first, second = x.chunk(2, -1)
        return torch.cat((first.sigmoid(), second * (second.square() + _ROUNDING).pow(-1 / 3)), -1)


class CubeRootMLP(nn.Module):
    """Flatten, `Linear -> half sigmoid, half cube root`, then an `MLP`: the paper's encoder of CubicJTEx.

    ValueError unless the number of units is even and positive.
    Source: Yacoby, Pan, Doshi-Velez, Characterizing and Avoiding Problematic Global Optima of Variational
    Autoencoders (2019), appendix E: 4 units, then 20 ReLU units.

    Args:
        context_shape: shape of x, bound by the Conditional.
        num_outputs: bound by the Conditional.
        units: of the first layer, half of them sigmoids and half cube roots.
        hidden: widths of the ReLU layers that follow.

    Examples:
        >>> import torch
        >>> from vae_lightning.nn import CubeRootMLP
        >>> CubeRootMLP((2,), 4)(torch.randn(5, 2)).shape
        torch.Size([5, 4])
    """

    def __init__(
        self, context_shape: Sequence[int], num_outputs: int, units: int = 4, hidden: Sequence[int] = (20,)
    ) -> None:
        super().__init__()
        if units < 2 or units % 2:
            raise ValueError(f"CubeRootMLP needs an even number of units, half of either kind; got {units}")
        self.context_dims = len(context_shape)
        self.first = nn.Sequential(nn.Linear(prod(context_shape), units), SigmoidAndCubeRoot())
        self.rest = MLP((units,), num_outputs, hidden)

    def forward(self, c: Float[Tensor, "*batch_and_context"]) -> Float[Tensor, "*batch outputs"]:
        """(*B, *C) -> (*B, P)."""
        return self.rest(self.first(c.flatten(c.ndim - self.context_dims)))
