"""Normal: mean, or mean and log standard deviation -> independent Gaussian variables."""

from __future__ import annotations

import math
from collections.abc import Sequence
from math import prod

import torch
import torch.distributions as td
from jaxtyping import Float
from torch import Tensor

from vae_lightning.construction.arguments import check_kinds
from vae_lightning.families.base import ExponentialFamily, as_event_shape

_MAX_LOG_SIGMA = 15.0
_EDGE = 1e-3
_CONSTANT = 0.5 * math.log(2 * math.pi)


class Normal(ExponentialFamily):
    """Independent Gaussian variables.

    With the variance free, T(x) = (x, x^2), eta = (mean / sigma^2, -1 / (2 sigma^2)) and
    A(eta) = sum -eta_1^2 / (4 eta_2) - log(-2 eta_2) / 2, h(x) = (2 pi)^(-d / 2); a network emits (mean, log sigma),
    since networks that emit precisions do not train. Sigma stays within e^-15 = 3e-7 and e^15 = 3e6: single precision
    overflows at e^44.
    With `scale` fixed, T(x) = x, eta = mean / scale^2, A(eta) = scale^2 |eta|^2 / 2, h(x) = N(x | 0, scale^2 I); a
    network emits the mean. Where a model's `observed` or `visible` has no event shape, the command takes the data's.

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

    def __new__(cls, event_shape: int | Sequence[int] | None = None, scale: float | None = None) -> Normal:
        """The family with the variance free, or with a scale that is known; copies are made without arguments."""
        return super().__new__(cls if scale is None else _OfKnownScale)

    def __init__(self, event_shape: int | Sequence[int] | None = None, scale: float | None = None) -> None:
        check_kinds(Normal, locals())
        if scale is not None and not 0 < scale < math.inf:
            raise ValueError(f"Normal needs a positive finite scale (a standard deviation), got {scale}")
        self.event_shape = as_event_shape(event_shape, "Normal")
        self.scale = scale
        self.num_parameters = prod(self.event_shape) * (2 if scale is None else 1)

    def __repr__(self) -> str:
        return f"Normal({tuple(self.event_shape)})"

    def sufficient_statistics(self, x: Tensor) -> Float[Tensor, "*B P"]:
        """(x, x^2), or x for a fixed scale."""
        x = super().sufficient_statistics(x)
        return torch.cat((x, x.square()), -1)

    def log_base_measure(self, x: Tensor) -> Float[Tensor, "*B"]:
        """-d/2 log(2 pi), or log N(x | 0, scale^2 I) for a fixed scale."""
        return torch.full_like(super().sufficient_statistics(x), -_CONSTANT).sum(-1)

    def log_partition(self, eta: Float[Tensor, "*B P"]) -> Float[Tensor, "*B"]:
        """sum -eta_1^2 / (4 eta_2) - log(-2 eta_2) / 2, or scale^2 |eta|^2 / 2 for a fixed scale."""
        linear, quadratic = eta.chunk(2, -1)
        return (-linear.square() / (4 * quadratic) - 0.5 * (-2 * quadratic).log()).sum(-1)

    def mean_and_sigma(self, eta: Float[Tensor, "*B P"]) -> tuple[Float[Tensor, "*B d"], Float[Tensor, "*B d"]]:
        """-eta_1 / (2 eta_2) and (-1 / (2 eta_2))^1/2, or eta scale^2 and scale for a fixed one."""
        linear, quadratic = eta.chunk(2, -1)
        variance = -0.5 / quadratic
        return linear * variance, variance.sqrt()

    def precision(self, eta: Float[Tensor, "*B P"]) -> Float[Tensor, "*B d"]:
        """1 / sigma^2 of each variable."""
        return -2 * eta.chunk(2, -1)[1]

    def constrain(self, theta: Float[Tensor, "*B P"]) -> Float[Tensor, "*B P"]:
        """(mean, log sigma) -> (mean / sigma^2, -1 / (2 sigma^2)); mean -> mean / scale^2 for a fixed scale."""
        mean, log_sigma = theta.chunk(2, -1)
        precision = (-2 * log_sigma.clamp(-_MAX_LOG_SIGMA, _MAX_LOG_SIGMA)).exp()
        return torch.cat((mean * precision, -0.5 * precision), -1)

    def unconstrain(self, eta: Float[Tensor, "*B P"]) -> Float[Tensor, "*B P"]:
        """(mean, log sigma), or the mean for a fixed scale."""
        linear, quadratic = eta.chunk(2, -1)
        variance = -0.5 / quadratic
        return torch.cat((linear * variance, 0.5 * variance.log()), -1)

    def pulled_back(self, theta: Float[Tensor, "*B P"], gradient: Float[Tensor, "*B P"]) -> Float[Tensor, "*B P"]:
        """Precision g1, and precision (g2 - 2 mean g1), zero where sigma is held; g / scale^2 for a fixed scale."""
        (mean, log_sigma), (linear, quadratic) = theta.chunk(2, -1), gradient.chunk(2, -1)
        precision = (-2 * log_sigma.clamp(-_MAX_LOG_SIGMA, _MAX_LOG_SIGMA)).exp()
        free = log_sigma.abs() <= _MAX_LOG_SIGMA
        return torch.cat((precision * linear, free * precision * (quadratic - 2 * mean * linear)), -1)

    def mean_statistics(self, eta: Float[Tensor, "*B P"]) -> Float[Tensor, "*B P"]:
        """(mean, mean^2 + sigma^2), or the mean for a fixed scale."""
        mean, sigma = self.mean_and_sigma(eta)
        return torch.cat((mean, mean.square() + sigma.square()), -1)

    def fitted(self, mean: Float[Tensor, "*B P"]) -> Float[Tensor, "*B P"]:
        """(mean, log sigma) with sigma at least 0.001, or the mean for a fixed scale."""
        first, second = mean.chunk(2, -1)
        return torch.cat((first, 0.5 * (second - first.square()).clamp_min(_EDGE**2).log()), -1)

    @torch.no_grad()
    def sample(self, eta: Float[Tensor, "*B P"]) -> Float[Tensor, "..."]:
        """Mean plus sigma times standard normal noise."""
        mean, sigma = self.mean_and_sigma(eta)
        return (mean + sigma * torch.randn_like(mean)).unflatten(-1, self.event_shape)

    def distribution(self, eta: Float[Tensor, "*B P"]) -> td.Distribution:
        """Independent Normal variables."""
        (mean, sigma), shape = self.mean_and_sigma(eta), self.event_shape
        variables = td.Normal(mean.unflatten(-1, shape), sigma.unflatten(-1, shape), validate_args=False)
        return td.Independent(variables, len(shape), validate_args=False)

    @property
    def log_scales(self) -> tuple[slice, ...]:
        """The second half, unless the scale is fixed."""
        half = prod(self.event_shape)
        return (slice(half, 2 * half),) if self.scale is None else ()

    @property
    def coupled(self) -> slice:
        """x alone: a coupled x^2 would let the variance turn negative (paper, below Eq. 10)."""
        return slice(0, prod(self.event_shape))


class _OfKnownScale(Normal):
    """What `Normal(event_shape, scale)` is: T(x) = x, eta = mean / scale^2, theta = mean."""

    scale: float

    def sufficient_statistics(self, x: Tensor) -> Float[Tensor, "*B d"]:
        return ExponentialFamily.sufficient_statistics(self, x)

    def log_base_measure(self, x: Tensor) -> Float[Tensor, "*B"]:
        each = 0.5 * (self.sufficient_statistics(x) / self.scale).square() + math.log(self.scale) + _CONSTANT
        return (-each).sum(-1)

    def log_partition(self, eta: Float[Tensor, "*B d"]) -> Float[Tensor, "*B"]:
        return (0.5 * (self.scale * eta).square()).sum(-1)

    def mean_and_sigma(self, eta: Float[Tensor, "*B d"]) -> tuple[Float[Tensor, "*B d"], Float[Tensor, "*B d"]]:
        mean = eta * self.scale**2
        return mean, torch.full_like(mean, self.scale)

    def precision(self, eta: Float[Tensor, "*B d"]) -> Float[Tensor, "*B d"]:
        return torch.full_like(eta, self.scale**-2)

    def constrain(self, theta: Float[Tensor, "*B d"]) -> Float[Tensor, "*B d"]:
        return theta / self.scale**2

    def unconstrain(self, eta: Float[Tensor, "*B d"]) -> Float[Tensor, "*B d"]:
        return eta * self.scale**2

    def pulled_back(self, theta: Float[Tensor, "*B d"], gradient: Float[Tensor, "*B d"]) -> Float[Tensor, "*B d"]:
        return gradient / self.scale**2

    def mean_statistics(self, eta: Float[Tensor, "*B d"]) -> Float[Tensor, "*B d"]:
        return self.mean_and_sigma(eta)[0]

    def fitted(self, mean: Float[Tensor, "*B d"]) -> Float[Tensor, "*B d"]:
        return mean
