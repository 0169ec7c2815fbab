"""Networks of the worlds LinearJTEx and CubicJTEx: decoders that can be the truth, and the encoder for cubes."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from math import prod

import torch
from jaxtyping import Float
from torch import Tensor, nn

from vae_lightning.nn.linear import vector_width
from vae_lightning.nn.mlp import MLP

Network = Callable[[Sequence[int], int], nn.Module]

_ROUNDING = 1e-8


class CholeskyLinear(nn.Module):
    """z -> Cholesky(A A' + b I) z with A trained: the decoder of `data.processes.LinearJTEx`, where theta is A.

    The factor is the lower one; A starts as standard normal numbers over sqrt(d). Where A A' + b I is not positive
    definite, which takes values that are not finite, so is the output. ValueError unless z and the outputs are vectors
    of the same length, and b > 0.

    Source: Yacoby, Pan, Doshi-Velez, Characterizing and Avoiding Problematic Global Optima of Variational
    Autoencoders (2019), Eq. 3.

    Args:
        context_shape: shape of z, bound by the Conditional.
        num_outputs: bound by the Conditional.
        shared: b, the part of the variance sigma^2 that the codes explain; the decoder's own is sigma^2 - b.

    Examples:
        >>> import torch
        >>> from vae_lightning.nn import CholeskyLinear
        >>> network = CholeskyLinear((2,), 2)
        >>> factor = torch.autograd.functional.jacobian(network, torch.zeros(2))
        >>> factor.shape, factor[0, 1] == 0  # lower triangular
        (torch.Size([2, 2]), tensor(True))
    """

    def __init__(self, context_shape: Sequence[int], num_outputs: int, shared: float = 0.006) -> None:
        super().__init__()
        width = vector_width(self, context_shape)
        if width != num_outputs or not 0 < shared < math.inf:
            raise ValueError(
                f"CholeskyLinear maps d numbers to d, and needs shared > 0; got {width} to {num_outputs}, {shared}"
            )
        self.mixing = nn.Parameter(torch.randn(width, width) / math.sqrt(width))
        self.shared = shared

    @property
    def weight(self) -> Float[Tensor, "outputs inputs"]:
        """The factor."""
        identity = torch.eye(len(self.mixing), dtype=self.mixing.dtype, device=self.mixing.device)
        # a factor that does not exist must not end the other models of an ensemble: no error is raised here
        return torch.linalg.cholesky_ex(self.mixing @ self.mixing.mT + self.shared * identity).L

    def forward(self, c: Float[Tensor, "*batch inputs"]) -> Float[Tensor, "*batch outputs"]:
        """(*B, C) -> (*B, P)."""
        return c @ self.weight.mT


class Cubed(nn.Module):
    """c -> network(c)^3, for each output: with `CholeskyLinear` the decoder of `data.processes.CubicJTEx`.

    Args:
        context_shape: shape of c, bound by the Conditional.
        num_outputs: bound by the Conditional.
        network: builds the network of the cube roots.

    Examples:
        >>> import torch
        >>> from vae_lightning.nn import Cubed, LinearMap
        >>> _ = torch.manual_seed(0)
        >>> network, z = Cubed((2,), 2, LinearMap), torch.ones(1, 2)
        >>> torch.allclose(network(2 * z), 8 * network(z))
        True
    """

    def __init__(self, context_shape: Sequence[int], num_outputs: int, network: Network) -> None:
        super().__init__()
        self.network = network(context_shape, num_outputs)

    def forward(self, c: Float[Tensor, "*batch_and_context"]) -> Float[Tensor, "*batch outputs"]:
        """(*B, *C) -> (*B, P)."""
        return self.network(c) ** 3


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
