"""OneHotLinear: a linear map of the one-hot representation of a code, bits -> tensors."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from vae_lightning.distributions import PAIRED_BITS


class OneHotLinear(nn.Module):
    """theta z_oh: one row of outputs for each of the 2^m codes of m bits, the first bit slowest (z = 2 b_1 + b_2).

    The most general decoder of short codes: any code at any place. `weight`, 2^m rows of outputs, is where to start,
    else a standard normal draw. No gradient flows to the bits. ValueError for more than 12 bits, or a `weight` of
    another shape.

    Source: Shekhovtsov, Schlesinger, Flach, VAE Approximation Error (2022), section 4.1.

    Examples:
        >>> import torch
        >>> from vae_lightning.nn import OneHotLinear
        >>> network = OneHotLinear((2,), 2, weight=[[0.0, 0.0], [1.0, 10.0], [2.0, 20.0], [3.0, 30.0]])
        >>> network(torch.tensor([[0.0, 0.0], [1.0, 1.0]])).detach()  # a row of the weight for each of the four codes
        tensor([[ 0.,  0.],
                [ 3., 30.]])
    """

    def __init__(
        self, context_shape: Sequence[int], num_outputs: int, weight: Sequence[Sequence[float]] | None = None
    ) -> None:
        super().__init__()
        bits = prod(context_shape)
        if bits > PAIRED_BITS:
            raise ValueError(f"OneHotLinear has a row for each of 2^{bits} codes, at most {PAIRED_BITS} bits; use MLP")
        shape, kind = (2**bits, num_outputs), torch.get_default_dtype()
        start = torch.randn(shape) if weight is None else torch.tensor(weight, dtype=kind)
        if start.shape != shape:
            raise ValueError(
                f"the weight of OneHotLinear must be {2**bits} codes x {num_outputs} outputs, got {tuple(start.shape)}"
            )
        self.context_dims = len(context_shape)
        self.weight = nn.Parameter(start)
        self.register_buffer("place_values", 2 ** torch.arange(bits).flip(0), persistent=False)
        self.place_values: Tensor

    def forward(self, bits: Float[Tensor, "*batch_and_context"]) -> Float[Tensor, "*batch outputs"]:
        """Bits (*B, *C), each 0 or 1 -> (*B, P)."""
        flat = bits.flatten(bits.ndim - self.context_dims) if self.context_dims else bits[..., None]
        return F.embedding((flat.long() * self.place_values).sum(-1), self.weight)
