"""Scales: the standard deviation of Gaussian variables, free or fixed -> their statistics and parameters."""

from __future__ import annotations

import abc
import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

_MAX_LOG_SIGMA = 15.0
_EDGE = 1e-3
_CONSTANT = 0.5 * math.log(2 * math.pi)


class Scale(abc.ABC):
    """What `families.Normal` asks of a sigma: d Gaussian variables x (*B, d) and natural parameters eta (*B, P)."""

    statistics_each: int  # how many statistics a variable has, P / d

    @abc.abstractmethod
    def statistics(self, x: Tensor) -> Tensor:
        """T(x), (*B, P)."""

    @abc.abstractmethod
    def log_base_measure(self, x: Tensor) -> Tensor:
        """Log h(x) of each variable, (*B, d)."""

    @abc.abstractmethod
    def log_partition(self, eta: Tensor) -> Tensor:
        """A(eta) of each variable, (*B, d)."""

    @abc.abstractmethod
    def mean_and_sigma(self, eta: Tensor) -> tuple[Tensor, Tensor]:
        """The mean and the deviation of each variable, (*B, d)."""

    @abc.abstractmethod
    def precision(self, eta: Tensor) -> Tensor:
        """1 / sigma^2 of each variable, (*B, d)."""

    @abc.abstractmethod
    def mean_statistics(self, eta: Tensor) -> Tensor:
        """E[T(x)], (*B, P)."""

    @abc.abstractmethod
    def fitted(self, mean: Tensor) -> Tensor:
        """The theta whose E[T(x)] is this mean, with sigma at least 0.001."""

    @abc.abstractmethod
    def natural(self, theta: Tensor) -> Tensor:
        """Eta from what a network emits."""

    @abc.abstractmethod
    def emitted(self, eta: Tensor) -> Tensor:
        """What a network would have to emit for eta."""

    @abc.abstractmethod
    def pulled_back(self, theta: Tensor, gradient: Tensor) -> Tensor:
        """The gradient with respect to theta, from that with respect to eta."""


class FreeScale(Scale):
    """T(x) = (x, x^2), eta = (mean / sigma^2, -1 / (2 sigma^2)), theta = (mean, log sigma).

    Sigma stays within e^-15 = 3e-7 and e^15 = 3e6: single precision overflows at e^44.
    """

    statistics_each = 2

    def statistics(self, x: Float[Tensor, "*B d"]) -> Float[Tensor, "*B P"]:
        """(x, x^2)."""
        return torch.cat((x, x.square()), -1)

    def log_base_measure(self, x: Float[Tensor, "*B d"]) -> Float[Tensor, "*B d"]:
        """-log(2 pi) / 2."""
        return torch.full_like(x, -_CONSTANT)

    def log_partition(self, eta: Float[Tensor, "*B P"]) -> Float[Tensor, "*B d"]:
        """-eta_1^2 / (4 eta_2) - log(-2 eta_2) / 2."""
        linear, quadratic = eta.chunk(2, -1)
        return -linear.square() / (4 * quadratic) - 0.5 * (-2 * quadratic).log()

    def mean_and_sigma(self, eta: Float[Tensor, "*B P"]) -> tuple[Tensor, Tensor]:
        """-eta_1 / (2 eta_2) and (-1 / (2 eta_2))^1/2."""
        linear, quadratic = eta.chunk(2, -1)
        variance = -0.5 / quadratic
        return linear * variance, variance.sqrt()

    def precision(self, eta: Float[Tensor, "*B P"]) -> Float[Tensor, "*B d"]:
        """-2 eta_2."""
        return -2 * eta.chunk(2, -1)[1]

    def mean_statistics(self, eta: Float[Tensor, "*B P"]) -> Float[Tensor, "*B P"]:
        """(mean, mean^2 + sigma^2)."""
        mean, sigma = self.mean_and_sigma(eta)
        return torch.cat((mean, mean.square() + sigma.square()), -1)

    def fitted(self, mean: Float[Tensor, "*B P"]) -> Float[Tensor, "*B P"]:
        """(mean, log sigma) with sigma at least 0.001."""
        first, second = mean.chunk(2, -1)
        return torch.cat((first, 0.5 * (second - first.square()).clamp_min(_EDGE**2).log()), -1)

    def natural(self, theta: Float[Tensor, "*B P"]) -> Float[Tensor, "*B P"]:
        """(mean / sigma^2, -1 / (2 sigma^2))."""
        mean, log_sigma = theta.chunk(2, -1)
        precision = (-2 * log_sigma.clamp(-_MAX_LOG_SIGMA, _MAX_LOG_SIGMA)).exp()
        return torch.cat((mean * precision, -0.5 * precision), -1)

    def emitted(self, eta: Float[Tensor, "*B P"]) -> Float[Tensor, "*B P"]:
        """(mean, log sigma)."""
        linear, quadratic = eta.chunk(2, -1)
        variance = -0.5 / quadratic
        return torch.cat((linear * variance, 0.5 * variance.log()), -1)

    def pulled_back(self, theta: Float[Tensor, "*B P"], gradient: Float[Tensor, "*B P"]) -> Float[Tensor, "*B P"]:
        """Precision g1, and precision (g2 - 2 mean g1), zero where sigma is held."""
        (mean, log_sigma), (linear, quadratic) = theta.chunk(2, -1), gradient.chunk(2, -1)
        precision = (-2 * log_sigma.clamp(-_MAX_LOG_SIGMA, _MAX_LOG_SIGMA)).exp()
        free = log_sigma.abs() <= _MAX_LOG_SIGMA
        return torch.cat((precision * linear, free * precision * (quadratic - 2 * mean * linear)), -1)


@dataclass(frozen=True)
class FixedScale(Scale):
    """T(x) = x, eta = mean / sigma^2, theta = mean, for a sigma that is given."""

    sigma: float

    statistics_each = 1

    def statistics(self, x: Float[Tensor, "*B d"]) -> Float[Tensor, "*B d"]:
        """The x itself."""
        return x

    def log_base_measure(self, x: Float[Tensor, "*B d"]) -> Float[Tensor, "*B d"]:
        """Log N(x | 0, sigma^2)."""
        return -(0.5 * (x / self.sigma).square() + math.log(self.sigma) + _CONSTANT)

    def log_partition(self, eta: Float[Tensor, "*B d"]) -> Float[Tensor, "*B d"]:
        """sigma^2 eta^2 / 2."""
        return 0.5 * (self.sigma * eta).square()

    def mean_and_sigma(self, eta: Float[Tensor, "*B d"]) -> tuple[Tensor, Tensor]:
        """Eta sigma^2 and sigma."""
        mean = eta * self.sigma**2
        return mean, torch.full_like(mean, self.sigma)

    def precision(self, eta: Float[Tensor, "*B d"]) -> Float[Tensor, "*B d"]:
        """1 / sigma^2."""
        return torch.full_like(eta, self.sigma**-2)

    def mean_statistics(self, eta: Float[Tensor, "*B d"]) -> Float[Tensor, "*B d"]:
        """The mean."""
        return self.mean_and_sigma(eta)[0]

    def fitted(self, mean: Float[Tensor, "*B d"]) -> Float[Tensor, "*B d"]:
        """The mean."""
        return mean

    def natural(self, theta: Float[Tensor, "*B d"]) -> Float[Tensor, "*B d"]:
        """mean / sigma^2."""
        return theta / self.sigma**2

    def emitted(self, eta: Float[Tensor, "*B d"]) -> Float[Tensor, "*B d"]:
        """The mean."""
        return eta * self.sigma**2

    def pulled_back(self, theta: Float[Tensor, "*B d"], gradient: Float[Tensor, "*B d"]) -> Float[Tensor, "*B d"]:
        """Gradient / sigma^2."""
        return gradient / self.sigma**2
