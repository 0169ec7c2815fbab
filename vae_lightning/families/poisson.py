"""Poisson: log rates -> independent counts."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

import torch.distributions as td
from jaxtyping import Float
from torch import Tensor

from vae_lightning.construction.arguments import check_kinds
from vae_lightning.families.base import ExponentialFamily, as_event_shape

_EDGE = 1e-3
_MAX_LOG_RATE = 15.0


class Poisson(ExponentialFamily):
    """Independent counts 0, 1, 2, ...: T(x) = x, A(eta) = sum exp(eta), h(x) = 1 / prod x!; eta are the log rates.

    Rates stay within e^-15 = 3e-7 and e^15 = 3e6. Words of a text, which share a length, are `Multinomial`. An encoder
    sees log(1 + x). In single precision log p(x) is off by about 1e-7 x log x, 0.1 nats at counts of 100,000 and one at
    a million; use 64-true for larger counts.

    Examples:
        >>> import torch
        >>> from vae_lightning.families import Poisson
        >>> p = Poisson(2).distribution(torch.zeros(2))  # rates of 1
        >>> p.mean, round(p.log_prob(torch.tensor([0.0, 2.0])).item(), 4)  # -2 - log 2
        (tensor([1., 1.]), -2.6931)
    """

    shows_itself = False

    def __init__(self, event_shape: int | Sequence[int] | None = None) -> None:
        check_kinds(Poisson, locals())
        self.event_shape = as_event_shape(event_shape, "Poisson")
        self.num_parameters = prod(self.event_shape)

    def shown(self, x: Tensor) -> Float[Tensor, "..."]:
        """log(1 + x)."""
        return x.log1p()

    def log_base_measure(self, x: Tensor) -> Float[Tensor, "*B"]:
        """-sum log x!."""
        return -(x.flatten(x.ndim - len(self.event_shape)) + 1).lgamma().sum(-1)

    def log_partition(self, eta: Float[Tensor, "*B P"]) -> Float[Tensor, "*B"]:
        """A(eta) = sum exp(eta)."""
        return eta.exp().sum(-1)

    def mean_statistics(self, eta: Float[Tensor, "*B P"]) -> Float[Tensor, "*B P"]:
        """The rates, exp(eta)."""
        return eta.exp()

    def constrain(self, theta: Float[Tensor, "*B P"]) -> Float[Tensor, "*B P"]:
        """Theta, kept where single precision counts."""
        return theta.clamp(-_MAX_LOG_RATE, _MAX_LOG_RATE)

    def pulled_back(self, theta: Float[Tensor, "*B P"], gradient: Float[Tensor, "*B P"]) -> Float[Tensor, "*B P"]:
        """The gradient, zero where theta is held."""
        return (theta.abs() <= _MAX_LOG_RATE) * gradient

    def fitted(self, mean: Float[Tensor, "*B P"]) -> Float[Tensor, "*B P"]:
        """log(mean), the mean kept above 0.001."""
        return mean.clamp_min(_EDGE).log()

    def distribution(self, eta: Float[Tensor, "*B P"]) -> td.Distribution:
        """Independent Poisson variables with rates exp(eta)."""
        rates = eta.unflatten(-1, self.event_shape).exp()
        return td.Independent(td.Poisson(rates, validate_args=False), len(self.event_shape), validate_args=False)
