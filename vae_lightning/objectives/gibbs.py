"""GibbsELBO: the ELBO's gradient, without its value, for a posterior known only up to its normaliser."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from vae_lightning.construction.arguments import check_kinds
from vae_lightning.counts import Counts
from vae_lightning.distributions import Unnormalised
from vae_lightning.estimators.base import local_signals, mean
from vae_lightning.gradients import with_gradient_of
from vae_lightning.latent_variable import LatentVariableModel
from vae_lightning.objectives.base import Objective


class GibbsELBO(Objective):
    """E_q[log p(x, z) - <eta(x), T(z)>] by S samples of block Gibbs, with the ELBO's own gradient.

        ELBO = E_q[log p(x, z) - <eta, T(z)>] + A(eta),   d ELBO / d eta = Cov_q(T(z), log p(x, z) - <eta, T(z)>)

    The covariance, a leave-one-out average over the samples, needs no A. The value lacks A, which is not known: it is
    no bound, moves either way while the ELBO improves, and is not called one. The gradient is the ELBO's only as far as
    the samples are q's, and block Gibbs stops short of that: it is biased, the less the more sweeps.

    Args:
        num_samples: S, at least 2, the leave-one-out baseline's.

    TypeError for a posterior that is not a `families.GibbsMRF`: those have their log-probability, so use `ELBO`.

    Examples:
        >>> import torch
        >>> from vae_lightning.families import Bernoulli, GibbsMRF
        >>> from vae_lightning.models import MRFVAE
        >>> from vae_lightning.objectives import GibbsELBO
        >>> model = MRFVAE(GibbsMRF(4, 4), Bernoulli(6)).model
        >>> GibbsELBO(num_samples=8)(model, torch.ones(5, 6)).shape
        torch.Size([5])
    """

    def __init__(self, num_samples: int = 4) -> None:
        check_kinds(GibbsELBO, locals())
        super().__init__()
        if num_samples < 2:
            raise ValueError(f"GibbsELBO compares samples with each other and needs at least 2, got {num_samples}")
        self.num_samples = num_samples

    def check(self, model: LatentVariableModel) -> None:
        """That the posterior is sampled by block Gibbs."""
        _field(model.encoder.prototype())

    def forward(self, model: LatentVariableModel, x: Tensor | Counts) -> Float[Tensor, " batch"]:
        """The value without A, (B,); no bound."""
        q = _field(model.encoder(x))
        z = q.sample(torch.Size([self.num_samples]))
        score = q.score(z)
        values = model.log_likelihood(x, z) + model.prior().log_prob(z) - score.detach()
        fixed = values.detach()
        others = (fixed.sum(0) - fixed) / (len(fixed) - 1)
        return with_gradient_of(mean(values), (local_signals(fixed, others, mean) * score).sum(0))


def _field(q: object) -> Unnormalised:
    if not isinstance(q, Unnormalised):
        raise TypeError(f"GibbsELBO is for GibbsMRF posteriors, got {type(q).__name__}: use ELBO or AnalyticELBO")
    return q
