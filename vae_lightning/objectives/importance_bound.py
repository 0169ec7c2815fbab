"""ImportanceBound: the importance-weighted bound from any proposal, to judge models by."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from vae_lightning.construction.arguments import check_kinds
from vae_lightning.counts import Counts
from vae_lightning.distributions import sample
from vae_lightning.estimators import log_mean_exp
from vae_lightning.inference.importance import Inflated, Proposal
from vae_lightning.latent_variable import LatentVariableModel
from vae_lightning.objectives.base import Objective
from vae_lightning.randomness import Noise


class ImportanceBound(Objective):
    """log 1/S sum_s p(x, z_s) / r(z_s | x), z_s ~ r, without gradient: Eq. 48, with r the inflated posterior.

    For training use `IWAE`; for many samples of large observations the callback `LogLikelihood`.
    ValueError unless S >= 1; TypeError for a posterior of which the proposal cannot be made.

    Source: Yacoby, Pan, Doshi-Velez, Characterizing and Avoiding Problematic Global Optima of Variational
    Autoencoders (2019), Eq. 48.

    Args:
        num_samples: S, an observation.
        proposal: makes r of q(z | x); by default q with twice its variance.

    Examples:
        >>> import torch
        >>> from vae_lightning.families import Bernoulli
        >>> from vae_lightning.models import GaussianVAE
        >>> from vae_lightning.objectives import ImportanceBound, Inflated
        >>> model = GaussianVAE(2, Bernoulli(6)).model
        >>> bound = ImportanceBound(num_samples=100, proposal=Inflated(2.0))(model, torch.ones(5, 6))
        >>> bound.shape, bound.requires_grad
        (torch.Size([5]), False)
    """

    def __init__(self, num_samples: int = 500, proposal: Proposal | None = None) -> None:
        check_kinds(ImportanceBound, locals())
        super().__init__()
        if num_samples < 1:
            raise ValueError(f"ImportanceBound needs num_samples >= 1, got {num_samples}")
        self.num_samples, self.proposal, self.noise = num_samples, proposal or Inflated(), Noise()

    def check(self, model: LatentVariableModel) -> None:
        """That the proposal can be made."""
        self.proposal(model.encoder.prototype())

    @torch.no_grad()
    def forward(self, model: LatentVariableModel, x: Tensor | Counts) -> Float[Tensor, " batch"]:
        """The bound, (B,)."""
        proposal = self.proposal(model.encoder(x))
        return log_mean_exp(model.draw(x, proposal, sample(proposal, self.num_samples, self.noise)).log_weight)
