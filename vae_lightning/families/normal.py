"""Normal: mean, or mean and log standard deviation -> independent Gaussian variables."""

from __future__ import annotations

import math
from collections.abc import Sequence
from math import prod

import torch
import torch.distributions as td
from jaxtyping import Float
from torch import Tensor

from vae_lightning.arguments import check_kinds
from vae_lightning.families.base import ExponentialFamily, as_event_shape

_MAX_LOG_SIGMA = 15.0
_EDGE = 1e-3


class Normal(ExponentialFamily):
    """Independent Gaussian variables.

    With the variance free, T(x) = (x, x^2), eta = (mean / sigma^2, -1 / (2 sigma^2)) and
    A(eta) = sum -eta_1^2 / (4 eta_2) - log(-2 eta_2) / 2, h(x) = (2 pi)^(-d / 2); a network emits (mean, log sigma),
    since networks that emit precisions do not train.
    With `scale` fixed, T(x) = x, eta = mean / scale^2, A(eta) = scale^2 |eta|^2 / 2, h(x) = N(x | 0, scale^2 I); a
    network emits the mean.

    Examples:
        >>> import torch
        >>> from vae_lightning.families import Normal
        >>> known, learned = Normal(2, scale=0.5), Normal(2)
        >>> known.num_parameters, learned.num_parameters  # the mean; the mean and log sigma
        (2, 4)
        >>> theta = torch.tensor([1.0, 2.0, 0.0, 0.0])  # what a network emits
        >>> learned.distribution(learned.constrain(theta)).mean
        tensor([1., 2.])
    """

    def __init__(self, event_shape: int | Sequence[int], scale: float | None = None) -> None:
        check_kinds(Normal, locals())
        if scale is not None and not 0 < scale < math.inf:
            raise ValueError(f"Normal needs a positive finite scale (a standard deviation), got {scale}")
        self.event_shape = as_event_shape(event_shape, "Normal")
        self.scale = scale
        self.num_parameters = prod(self.event_shape) * (2 if scale is None else 1)

    def sufficient_statistics(self, x: Tensor) -> Float[Tensor, "*B P"]:
        """(x, x^2), or x for a fixed scale."""
        x = x.flatten(x.ndim - len(self.event_shape))
        return torch.cat((x, x.square()), -1) if self.scale is None else x

    def log_base_measure(self, x: Tensor) -> Float[Tensor, "*B"]:
        """-d/2 log(2 pi), or log N(x | 0, scale^2 I) for a fixed scale."""
        x = x.flatten(x.ndim - len(self.event_shape))
        constant = 0.5 * math.log(2 * math.pi)
        if self.scale is None:
            return torch.full_like(x, -constant).sum(-1)
        return -(0.5 * (x / self.scale).square() + math.log(self.scale) + constant).sum(-1)

    def log_partition(self, eta: Float[Tensor, "*B P"]) -> Float[Tensor, "*B"]:
        """A(eta)."""
        if self.scale is not None:
            return 0.5 * (self.scale * eta).square().sum(-1)
        linear, quadratic = eta.chunk(2, -1)
        return (-linear.square() / (4 * quadratic) - 0.5 * (-2 * quadratic).log()).sum(-1)

    def constrain(self, theta: Float[Tensor, "*B P"]) -> Float[Tensor, "*B P"]:
        """(mean, log sigma) -> (mean / sigma^2, -1 / (2 sigma^2)); mean -> mean / scale^2 for a fixed scale.

        Sigma stays within e^-15 = 3e-7 and e^15 = 3e6: single precision overflows at e^44.
        """
        if self.scale is not None:
            return theta / self.scale**2
        mean, log_sigma = theta.chunk(2, -1)
        precision = (-2 * log_sigma.clamp(-_MAX_LOG_SIGMA, _MAX_LOG_SIGMA)).exp()
        return torch.cat((mean * precision, -0.5 * precision), -1)

    def mean_statistics(self, eta: Float[Tensor, "*B P"]) -> Float[Tensor, "*B P"]:
        """(mean, mean^2 + sigma^2), or the mean for a fixed scale."""
        mean, sigma = self._mean_and_sigma(eta)
        return mean if self.scale is not None else torch.cat((mean, mean.square() + sigma.square()), -1)

    @torch.no_grad()
    def sample(self, eta: Float[Tensor, "*B P"]) -> Float[Tensor, "..."]:
        """Mean plus sigma times standard normal noise."""
        mean, sigma = self._mean_and_sigma(eta)
        return (mean + sigma * torch.randn_like(mean)).unflatten(-1, self.event_shape)

    def fitted(self, mean: Float[Tensor, "*B P"]) -> Float[Tensor, "*B P"]:
        """(mean, log sigma) with sigma at least 0.001, or the mean for a fixed scale."""
        if self.scale is not None:
            return mean
        first, second = mean.chunk(2, -1)
        return torch.cat((first, 0.5 * (second - first.square()).clamp_min(_EDGE**2).log()), -1)

    def pulled_back(self, theta: Float[Tensor, "*B P"], gradient: Float[Tensor, "*B P"]) -> Float[Tensor, "*B P"]:
        """Of mean and log sigma: precision g1, and precision (g2 - 2 mean g1), zero where sigma is held."""
        if self.scale is not None:
            return gradient / self.scale**2
        (mean, log_sigma), (linear, quadratic) = theta.chunk(2, -1), gradient.chunk(2, -1)
        precision = (-2 * log_sigma.clamp(-_MAX_LOG_SIGMA, _MAX_LOG_SIGMA)).exp()
        free = log_sigma.abs() <= _MAX_LOG_SIGMA
        return torch.cat((precision * linear, free * precision * (quadratic - 2 * mean * linear)), -1)

    def distribution(self, eta: Float[Tensor, "*B P"]) -> td.Distribution:
        """Independent Normal variables."""
        mean, sigma = self._mean_and_sigma(eta)
        normal = td.Normal(mean.unflatten(-1, self.event_shape), sigma.unflatten(-1, self.event_shape), False)
        return td.Independent(normal, len(self.event_shape), False)

    @property
    def coupled(self) -> slice:
        """x alone: a coupled x^2 would let the variance turn negative (paper, below Eq. 10)."""
        return slice(0, prod(self.event_shape))

    def precision(self, eta: Float[Tensor, "*B P"]) -> Float[Tensor, "*B d"]:
        """1 / sigma^2 of each variable."""
        if self.scale is not None:
            return torch.full_like(eta, self.scale**-2)
        return -2 * eta.chunk(2, -1)[1]

    def _mean_and_sigma(self, eta: Tensor) -> tuple[Tensor, Tensor]:
        if self.scale is not None:
            mean = eta * self.scale**2
            return mean, torch.full_like(mean, self.scale)
        linear, quadratic = eta.chunk(2, -1)
        variance = -0.5 / quadratic
        return linear * variance, variance.sqrt()
