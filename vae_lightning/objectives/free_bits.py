"""FreeBits: an ELBO that does not pay for the first nats of each latent dimension."""

from __future__ import annotations

import math
from functools import partial

import torch
import torch.distributions as td
from jaxtyping import Float
from torch import Tensor

from vae_lightning.construction.arguments import check_kinds
from vae_lightning.counts import Counts
from vae_lightning.distributions import factors, family_name
from vae_lightning.estimators import GradientEstimator, mean
from vae_lightning.latent_variable import LatentVariableModel
from vae_lightning.objectives.base import EstimatedObjective


class FreeBits(EstimatedObjective):
    """E_q[log p(x | z)] - sum_j max(lambda, KL_j), with KL_j the mean over the batch of KL(q(z_j | x) || p(z_j)).

    A dimension whose mean KL is below lambda = `free_nats` has no gradient from it, so that no dimension is pushed to
    the prior early in training. KL_j is in closed form, in nats per latent dimension (per variable, for one-hot
    latents). The maximum is the batch's, a row's value its own share: reconstruction minus, for each j, the row's own
    KL_j where the batch pays and lambda where it does not. The mean of the rows, and its gradient, are exactly the
    objective. Each process of a distributed run takes the maximum over its own part of the batch.
    Raises ValueError for a negative or infinite lambda, and where posterior and prior are not factorised members of
    one family: a dimension has no KL of its own then.
    Source: Kingma et al., Improved Variational Inference with Inverse Autoregressive Flow (2016), appendix.

    Args:
        estimator: draws z and gives the gradient of the reconstruction.
        free_nats: lambda, nats per latent dimension that cost nothing; 0 is the ELBO.

    Examples:
        >>> import torch
        >>> from vae_lightning.estimators import Reparameterised
        >>> from vae_lightning.families import Bernoulli
        >>> from vae_lightning.models import GaussianVAE
        >>> from vae_lightning.objectives import AnalyticELBO, FreeBits
        >>> _ = torch.manual_seed(0)
        >>> model, x = GaussianVAE(2, Bernoulli(6)).model, torch.ones(1000, 6)
        >>> full, free = AnalyticELBO(Reparameterised()), FreeBits(Reparameterised(), free_nats=10.0)
        >>> full(model, x).mean() - free(model, x).mean() > 15  # the floor is paid, 2 x 10 nats, where the KL is less
        tensor(True)
    """

    def __init__(self, estimator: GradientEstimator, free_nats: float) -> None:
        check_kinds(FreeBits, locals())
        super().__init__(estimator)
        if not 0 <= free_nats < math.inf:
            raise ValueError(f"free_nats counts nats per latent dimension, finite and not negative; got {free_nats}")
        self.free_nats = free_nats

    @property
    def is_elbo(self) -> bool:
        """Whether nothing is free; never where it is a tensor, one number for each member of an ensemble."""
        return not isinstance(self.free_nats, Tensor) and self.free_nats == 0

    def unweighted(self) -> FreeBits:
        """The evidence lower bound: the same with nothing free."""
        return FreeBits(self.estimator, 0.0)

    def check(self, model: LatentVariableModel) -> None:
        """Also raise ValueError unless each dimension has a KL of its own."""
        super().check(model)
        _kl_by_dimension(model.encoder.prototype(), model.prior())

    def forward(self, model: LatentVariableModel, x: Tensor | Counts) -> Float[Tensor, " batch"]:
        """The rows' shares, (B,)."""
        q = model.encoder(x)
        reconstruction = self.estimator(q, partial(model.log_likelihood, x), mean)
        kl = _kl_by_dimension(q, model.prior())
        paid = torch.where(kl.mean(0) > self.free_nats, kl, self.free_nats)
        return reconstruction - paid.sum(-1)


def _kl_by_dimension(posterior: td.Distribution, prior: td.Distribution) -> Float[Tensor, "batch dimensions"]:
    q, p = factors(posterior), factors(prior)
    if q is None or p is None or type(q) is not type(p):
        raise ValueError(
            "FreeBits needs the KL of each latent dimension: a factorised posterior and a factorised prior of one "
            f"family, got {family_name(posterior)} and {family_name(prior)}; use ELBO, with beta a WarmUp against "
            "collapse"
        )
    return td.kl_divergence(q, p.expand(q.batch_shape)).flatten(1)
