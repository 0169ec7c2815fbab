"""IWAE: the importance-weighted bound."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor

from vae_lightning.counts import Counts
from vae_lightning.estimators import log_mean_exp
from vae_lightning.latent_variable import LatentVariableModel
from vae_lightning.objectives.base import EstimatedObjective


class IWAE(EstimatedObjective):
    """E[log 1/S sum_s p(x, z_s) / q(z_s | x)] with S = `estimator.num_samples` (Burda et al. 2016, Eq. 8).

    Args:
        estimator: draws z and gives the gradient.

    Examples:
        >>> import torch
        >>> from vae_lightning.estimators import Reparameterised
        >>> from vae_lightning.families import Bernoulli
        >>> from vae_lightning.models import GaussianVAE
        >>> from vae_lightning.objectives import ELBO, IWAE
        >>> _ = torch.manual_seed(0)
        >>> model, x = GaussianVAE(2, Bernoulli(6)).model, torch.ones(1000, 6)
        >>> loose, tight = (bound(Reparameterised(50))(model, x).mean() for bound in (ELBO, IWAE))
        >>> loose < tight
        tensor(True)
    """

    @property
    def is_elbo(self) -> bool:
        """With one sample."""
        return self.estimator.num_samples == 1

    def forward(self, model: LatentVariableModel, x: Tensor | Counts) -> Float[Tensor, " batch"]:
        """The bound, (B,)."""
        q = model.encoder(x)
        return self.estimator(q, lambda z: model.draw(x, q, z).log_weight, log_mean_exp)
