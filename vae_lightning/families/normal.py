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
from vae_lightning.families.scales import FixedScale, FreeScale, Scale


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
        self._scale: Scale = FreeScale() if scale is None else FixedScale(float(scale))
        self.num_parameters = prod(self.event_shape) * self._scale.statistics_each

    def sufficient_statistics(self, x: Tensor) -> Float[Tensor, "*B P"]:
        """(x, x^2), or x for a fixed scale."""
        return self._scale.statistics(x.flatten(x.ndim - len(self.event_shape)))

    def log_base_measure(self, x: Tensor) -> Float[Tensor, "*B"]:
        """-d/2 log(2 pi), or log N(x | 0, scale^2 I) for a fixed scale."""
        return self._scale.log_base_measure(x.flatten(x.ndim - len(self.event_shape))).sum(-1)

    def log_partition(self, eta: Float[Tensor, "*B P"]) -> Float[Tensor, "*B"]:
        """A(eta)."""
        return self._scale.log_partition(eta).sum(-1)

    def constrain(self, theta: Float[Tensor, "*B P"]) -> Float[Tensor, "*B P"]:
        """(mean, log sigma) -> (mean / sigma^2, -1 / (2 sigma^2)); mean -> mean / scale^2 for a fixed scale."""
        return self._scale.natural(theta)

    def unconstrain(self, eta: Float[Tensor, "*B P"]) -> Float[Tensor, "*B P"]:
        """(mean, log sigma), or the mean for a fixed scale."""
        return self._scale.emitted(eta)

    def mean_statistics(self, eta: Float[Tensor, "*B P"]) -> Float[Tensor, "*B P"]:
        """(mean, mean^2 + sigma^2), or the mean for a fixed scale."""
        return self._scale.mean_statistics(eta)

    @torch.no_grad()
    def sample(self, eta: Float[Tensor, "*B P"]) -> Float[Tensor, "..."]:
        """Mean plus sigma times standard normal noise."""
        mean, sigma = self._scale.mean_and_sigma(eta)
        return (mean + sigma * torch.randn_like(mean)).unflatten(-1, self.event_shape)

    def fitted(self, mean: Float[Tensor, "*B P"]) -> Float[Tensor, "*B P"]:
        """(mean, log sigma) with sigma at least 0.001, or the mean for a fixed scale."""
        return self._scale.fitted(mean)

    def pulled_back(self, theta: Float[Tensor, "*B P"], gradient: Float[Tensor, "*B P"]) -> Float[Tensor, "*B P"]:
        """The gradient with respect to the mean, and to log sigma where it is free."""
        return self._scale.pulled_back(theta, gradient)

    def distribution(self, eta: Float[Tensor, "*B P"]) -> td.Distribution:
        """Independent Normal variables."""
        (mean, sigma), shape = self._scale.mean_and_sigma(eta), self.event_shape
        variables = td.Normal(mean.unflatten(-1, shape), sigma.unflatten(-1, shape), validate_args=False)
        return td.Independent(variables, len(shape), validate_args=False)

    @property
    def coupled(self) -> slice:
        """x alone: a coupled x^2 would let the variance turn negative (paper, below Eq. 10)."""
        return slice(0, prod(self.event_shape))

    def precision(self, eta: Float[Tensor, "*B P"]) -> Float[Tensor, "*B d"]:
        """1 / sigma^2 of each variable."""
        return self._scale.precision(eta)
