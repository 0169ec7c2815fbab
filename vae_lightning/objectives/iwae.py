"""IWAE: the importance-weighted bound."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor

from vae_lightning.counts import Counts
from vae_lightning.estimators import GradientEstimator, log_mean_exp
from vae_lightning.latent_variable import LatentVariableModel
from vae_lightning.objectives.base import Objective


class IWAE(Objective):
    """E[log 1/S sum_s p(x, z_s) / q(z_s | x)] with S = `estimator.num_samples` (Burda et al. 2016, Eq. 8)."""

    def __init__(self, estimator: GradientEstimator) -> None:
        super().__init__()
        self.estimator = estimator

    def forward(self, model: LatentVariableModel, x: Tensor | Counts) -> Float[Tensor, " batch"]:
        """The bound, (B,)."""
        q = model.encoder(x)
        return self.estimator(q, lambda z: model.draw(x, q, z).log_weight, log_mean_exp)
