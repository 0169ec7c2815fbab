"""ELBO and AnalyticELBO: E_q[log p(x | z)] - beta KL(q(z | x) || p(z))."""

from __future__ import annotations

import math

import torch.distributions as td
from jaxtyping import Float
from torch import Tensor

from vae_lightning.counts import Counts
from vae_lightning.estimators import GradientEstimator, mean
from vae_lightning.latent_variable import LatentVariableModel
from vae_lightning.objectives.base import Objective


class ELBO(Objective):
    """E_q[log p(x | z) + beta (log p(z) - log q(z | x))], by the estimator's samples.

    beta = 1 is the evidence lower bound (Kingma and Welling, 2014; Shekhovtsov et al. 2022, Eq. 1a); any other beta
    is the beta-VAE's weighted objective (Higgins et al. 2017), a bound only for beta >= 1.
    """

    def __init__(self, estimator: GradientEstimator, beta: float = 1.0) -> None:
        super().__init__()
        self.estimator, self.beta = estimator, _checked(beta)

    @property
    def is_elbo(self) -> bool:
        """With beta = 1."""
        return self.beta == 1

    def forward(self, model: LatentVariableModel, x: Tensor | Counts) -> Float[Tensor, " batch"]:
        """The bound, (B,)."""
        q = model.encoder(x)

        def f(z: Tensor) -> Tensor:
            draw = model.draw(x, q, z)
            # E_q[grad log q] = 0: where z has no path to q's parameters that term is noise and nothing else
            log_posterior = draw.log_posterior if z.requires_grad else draw.log_posterior.detach()
            return draw.log_likelihood + self.beta * (draw.log_prior - log_posterior)

        return self.estimator(q, f, mean)


class AnalyticELBO(Objective):
    """E_q[log p(x | z)] by the estimator's samples, minus beta KL(q || p) in closed form.

    ValueError where torch.distributions knows no closed-form KL between the posterior's family and the prior.
    """

    def __init__(self, estimator: GradientEstimator, beta: float = 1.0) -> None:
        super().__init__()
        self.estimator, self.beta = estimator, _checked(beta)

    @property
    def is_elbo(self) -> bool:
        """With beta = 1."""
        return self.beta == 1

    def check(self, model: LatentVariableModel) -> None:
        """Also that the KL has a closed form."""
        super().check(model)
        posterior, prior = model.encoder.prototype(), model.prior()
        try:
            td.kl_divergence(posterior, prior.expand(posterior.batch_shape))
        except NotImplementedError as error:
            raise ValueError(
                f"AnalyticELBO needs a closed-form KL, there is none from {type(posterior).__name__} to "
                f"{type(prior).__name__}; use ELBO, which estimates it"
            ) from error

    def forward(self, model: LatentVariableModel, x: Tensor | Counts) -> Float[Tensor, " batch"]:
        """The bound, (B,)."""
        q = model.encoder(x)
        reconstruction = self.estimator(q, lambda z: model.decoder(z).log_prob(x), mean)  # type: ignore[arg-type]
        return reconstruction - self.beta * td.kl_divergence(q, model.prior().expand(q.batch_shape))


def _checked(beta: float) -> float:
    if not 0 <= beta < math.inf:
        raise ValueError(f"beta weighs the KL and must be finite and not negative, got {beta}")
    return beta
