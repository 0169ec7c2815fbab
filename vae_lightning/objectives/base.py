"""Objectives: (model, x) -> a quantity to maximise, one value per observation, in nats."""

from __future__ import annotations

import abc

from jaxtyping import Float
from torch import Tensor, nn

from vae_lightning.counts import Counts
from vae_lightning.estimators import GradientEstimator
from vae_lightning.latent_variable import LatentVariableModel


class Objective(nn.Module, abc.ABC):
    """A bound on log p(x), or what stands in for one; `forward(model, x)` is (B,), to be maximised."""

    estimator: GradientEstimator

    @property
    def is_elbo(self) -> bool:
        """Whether the value estimates the evidence lower bound itself, so that its negative may be called NELBO."""
        return False

    @abc.abstractmethod
    def forward(self, model: LatentVariableModel, x: Tensor | Counts) -> Float[Tensor, " batch"]:
        """One value per observation, in nats."""

    def check(self, model: LatentVariableModel) -> None:
        """Raise TypeError or ValueError, saying the way out, if this objective cannot train this model."""
        self.estimator.check(model.encoder.prototype())
