"""Decoders of the worlds whose truth is known: linear maps without bias, through a Cholesky factor, or cubed."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

Network = Callable[[Sequence[int], int], nn.Module]


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
        width = _width(self, context_shape)
        self.weight = nn.Parameter(torch.randn(num_outputs, width) / math.sqrt(width))

    def forward(self, c: Float[Tensor, "*batch inputs"]) -> Float[Tensor, "*batch outputs"]:
        """(*B, C) -> (*B, P)."""
        return c @ self.weight.mT


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
        width = _width(self, context_shape)
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


def _width(module: nn.Module, context_shape: Sequence[int]) -> int:
    if len(context_shape) != 1:
        raise ValueError(f"{type(module).__name__} maps vectors; got contexts of shape {tuple(context_shape)}")
    return context_shape[0]
