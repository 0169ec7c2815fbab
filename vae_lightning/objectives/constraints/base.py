"""Constraint: a model, observations and their codes -> what the generator pays for what they should be."""

from __future__ import annotations

import abc
from typing import Any, ClassVar

from jaxtyping import Float
from torch import Tensor, nn


class Constraint(nn.Module, abc.ABC):
    """(model, x, z) -> scalar: what a generator pays for what else it should be, c_i(theta, X) of Eq. 6; minimised."""

    name: str
    """The name it is logged under."""

    takes: ClassVar[slice] = slice(None)
    """Which of (model, x, z) `forward` and `failure` take: all three."""

    @abc.abstractmethod
    def forward(self, *given: Any, **options: Any) -> Tensor:
        """The penalty, a scalar, of (model, x, z): a LatentVariableModel, N observations, their codes (N, *Z)."""

    def failure(self, *given: Any, **options: Any) -> str | None:
        """Why there is no penalty that could be minimised, or None where there is one."""
        value = self(*given, **options)
        return None if value.isfinite() else f"its value is {float(value)}"


class Penalty(Constraint, abc.ABC):
    """(N, *Z) -> scalar: a constraint of the codes alone, what they pay for not looking like N(0, I); minimised.

    A penalty of a batch's statistics is not a mean over observations: it needs all of them at once.
    """

    takes = slice(2, None)

    @abc.abstractmethod
    def forward(self, z: Float[Tensor, "n *latent"]) -> Float[Tensor, ""]:
        """The penalty; ValueError for a sample that is too small for it."""
