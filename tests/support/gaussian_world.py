"""The model of the goldens: z ~ N(0, 1), x | z ~ N(1.5 z, 0.5), at x = 2, with any q; all in float64."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.distributions as td
from torch import Size, Tensor, nn

from vae_lightning.latent_variable import LatentVariableModel
from vae_lightning.priors import Prior

EVIDENCE = -2.1520117163166397
POSTERIOR = (12 / 11, (2 / 11) ** 0.5)
WIDE, PRIOR, NARROW = (0.5, 0.8), (0.0, 1.0), (12 / 11, 0.2)


class Part(nn.Module):
    """An encoder or a decoder that counts the rows of each call."""

    context_shape = event_shape = Size([1])

    def __init__(self, distribution: Callable[[Tensor], td.Distribution]) -> None:
        super().__init__()
        self.distribution, self.rows = distribution, []

    def prototype(self) -> td.Distribution:
        return self.distribution(torch.zeros(1, 1, dtype=torch.float64))

    def forward(self, c: Tensor) -> td.Distribution:
        self.rows.append(c[..., 0].numel())
        return self.distribution(c)


class Standard(Prior):
    """N(0, 1)."""

    event_shape = Size([1])

    def forward(self) -> td.Distribution:
        return normal(torch.zeros(1, dtype=torch.float64), 1.0)


def normal(mean: Tensor, sigma: float) -> td.Independent:
    return td.Independent(td.Normal(mean, torch.full_like(mean, sigma)), 1)


def world(mean: float, sigma: float) -> LatentVariableModel:
    """With q(z | x) = N(mean, sigma^2)."""
    encoder = Part(lambda x: normal(torch.full_like(x, mean), sigma))
    return LatentVariableModel(encoder, Part(lambda z: normal(1.5 * z, 0.5**0.5)), Standard())


def twos(number: int) -> Tensor:
    """So many observations x = 2."""
    return torch.full((number, 1), 2.0, dtype=torch.float64)
