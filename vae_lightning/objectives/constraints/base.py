"""Constraint: a model, observations and their codes -> what the generator pays for what they should be."""

from __future__ import annotations

import abc

from jaxtyping import Float
from torch import Tensor, nn

from vae_lightning.counts import Counts
from vae_lightning.latent_variable import LatentVariableModel


class Constraint(nn.Module, abc.ABC):
    """(model, x, z) -> scalar: what a generator pays for what else it should be, c_i(theta, X) of Eq. 6; minimised."""

    name: str
    """What it is logged as."""

    @abc.abstractmethod
    def forward(self, model: LatentVariableModel, x: Tensor | Counts, z: Float[Tensor, "n *latent"]) -> Tensor:
        """The penalty, a scalar."""

    def failure(self, model: LatentVariableModel, x: Tensor | Counts, z: Float[Tensor, "n *latent"]) -> str | None:
        """Why there is no penalty that could be minimised, or None where there is one."""
        value = self(model, x, z)
        return None if value.isfinite() else f"its value is {float(value)}"
