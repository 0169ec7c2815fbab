"""Networks that emit the mean only -> (mean, log sigma) with sigma a parameter: the learned noise of a decoder."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

Network = Callable[[Sequence[int], int], nn.Module]


class SharedScale(nn.Module):
    """theta(c) = (mean(c), log sigma) with one trained sigma for all outputs and contexts, for `families.Normal`.

    The network emits half of the outputs, the means; a sigma that depends on c needs no wrapper: let the network emit
    all. ValueError unless the number of outputs is even and sigma > 0.

    Args:
        context_shape: shape of c, bound by the Conditional.
        num_outputs: means and log sigmas, bound by the Conditional.
        network: builds the network of the means.
        sigma: where it starts.

    Examples:
        >>> import torch
        >>> from vae_lightning.nn import MLP, SharedScale
        >>> network = SharedScale((2,), 6, MLP, sigma=0.5)  # a mean and a log sigma for each of three pixels
        >>> network(torch.randn(5, 2))[:, 3:].exp().unique().detach()
        tensor([0.5000])
    """

    def __init__(self, context_shape: Sequence[int], num_outputs: int, network: Network, sigma: float = 1.0) -> None:
        super().__init__()
        self.network, self.log_sigma = _mean_and_scale(self, context_shape, num_outputs, network, sigma, 1)

    def forward(self, c: Any) -> Float[Tensor, "*batch outputs"]:
        """(*B, *C) -> (*B, 2 d)."""
        return _joined(self.network(c), self.log_sigma)


class ScalePerDimension(nn.Module):
    """theta(c) = (mean(c), log sigma) with one trained sigma for each output, the same for all contexts.

    As `SharedScale` but for that. ValueError unless the number of outputs is even and sigma > 0.

    Args:
        context_shape: shape of c, bound by the Conditional.
        num_outputs: means and log sigmas, bound by the Conditional.
        network: builds the network of the means.
        sigma: where all of them start.

    Examples:
        >>> import torch
        >>> from vae_lightning.nn import MLP, ScalePerDimension
        >>> network = ScalePerDimension((2,), 6, MLP, sigma=0.5)
        >>> network(torch.randn(5, 2)).shape, network.log_sigma.shape
        (torch.Size([5, 6]), torch.Size([3]))
    """

    def __init__(self, context_shape: Sequence[int], num_outputs: int, network: Network, sigma: float = 1.0) -> None:
        super().__init__()
        self.network, self.log_sigma = _mean_and_scale(
            self, context_shape, num_outputs, network, sigma, num_outputs // 2
        )

    def forward(self, c: Any) -> Float[Tensor, "*batch outputs"]:
        """(*B, *C) -> (*B, 2 d)."""
        return _joined(self.network(c), self.log_sigma)


def _mean_and_scale(
    module: nn.Module, context_shape: Sequence[int], num_outputs: int, network: Network, sigma: float, number: int
) -> tuple[nn.Module, nn.Parameter]:
    if num_outputs % 2 or not 0 < sigma < math.inf:
        raise ValueError(
            f"{type(module).__name__} gives (mean, log sigma) to a Normal family without fixed scale, and sigma > 0; "
            f"got {num_outputs} outputs and sigma {sigma}"
        )
    return network(context_shape, num_outputs // 2), nn.Parameter(torch.full((number,), math.log(sigma)))


def _joined(mean: Tensor, log_sigma: Tensor) -> Tensor:
    # under autocast the mean is bfloat16, of eight bits, which would round away the steps that sigma makes
    mean = mean.to(torch.promote_types(mean.dtype, log_sigma.dtype))
    return torch.cat((mean, log_sigma.expand_as(mean)), -1)
