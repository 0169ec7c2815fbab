"""Networks that emit the mean only -> (mean, log sigma) with sigma a parameter: the learned noise of a decoder."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from vae_lightning.nn.outputs import Outputs

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
        self.network, self.log_sigma = _mean_and_scale(self, context_shape, num_outputs, network, sigma, True)
        self.places = _places(num_outputs)

    def forward(self, c: Any) -> Float[Tensor, "*batch outputs"]:
        """(*B, *C) -> (*B, 2 d)."""
        return _joined(self.network(c), self.log_sigma, self.places)


class ScalePerDimension(nn.Module):
    """theta(c) = (mean(c), log sigma) with one trained sigma for each output, the same for all contexts.

    As `SharedScale` but for that. Of a `families.Product` both learn the sigmas of its Normal columns, and the network
    emits all else. ValueError unless the number of outputs is even and sigma > 0.

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
        self.network, self.log_sigma = _mean_and_scale(self, context_shape, num_outputs, network, sigma, False)
        self.places = _places(num_outputs)

    def forward(self, c: Any) -> Float[Tensor, "*batch outputs"]:
        """(*B, *C) -> (*B, 2 d)."""
        return _joined(self.network(c), self.log_sigma, self.places)


def _places(num_outputs: int) -> tuple[slice, ...]:
    """Where the log sigmas are: where the family says so, or in the second half."""
    said = num_outputs.log_scales if isinstance(num_outputs, Outputs) else ()
    return said or (slice(int(num_outputs) // 2, int(num_outputs)),)


def _mean_and_scale(
    module: nn.Module, context_shape: Sequence[int], num_outputs: int, network: Network, sigma: float, shared: bool
) -> tuple[nn.Module, nn.Parameter]:
    number = sum(place.stop - place.start for place in _places(num_outputs))
    halves = num_outputs == 2 * number
    known = halves or (isinstance(num_outputs, Outputs) and num_outputs.log_scales)
    if not known or not 0 < sigma < math.inf:
        raise ValueError(
            f"{type(module).__name__} gives (mean, log sigma) to a Normal family without fixed scale, and sigma > 0; "
            f"got {num_outputs} outputs and sigma {sigma}"
        )
    others = num_outputs // 2 if halves else Outputs(num_outputs - number, num_outputs.event_shape)  # type: ignore[attr-defined]
    return network(context_shape, others), nn.Parameter(torch.full((1 if shared else number,), math.log(sigma)))


def _joined(others: Tensor, log_sigma: Tensor, places: Sequence[slice]) -> Tensor:
    # under autocast the mean is bfloat16, of eight bits, which would round away the steps that sigma makes
    others = others.to(torch.promote_types(others.dtype, log_sigma.dtype))
    scales = log_sigma.expand(*others.shape[:-1], sum(place.stop - place.start for place in places))
    if places[0].start == others.shape[-1]:  # of one Normal
        return torch.cat((others, scales), -1)
    parts, told, taken = [], 0, 0
    for place in places:
        width, gap = place.stop - place.start, place.start - told - taken
        parts += [others[..., told : told + gap], scales[..., taken : taken + width]]
        told, taken = told + gap, taken + width
    return torch.cat([*parts, others[..., told:]], -1)
