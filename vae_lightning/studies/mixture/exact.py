"""Exact figures of a model with a discrete code, by enumerating its codes and by quadrature over the data."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from vae_lightning.data.processes import GaussianMixture
from vae_lightning.distributions import enumerate_codes
from vae_lightning.estimators import Enumerated
from vae_lightning.latent_variable import LatentVariableModel
from vae_lightning.objectives import ELBO


@dataclass(frozen=True)
class Exact:
    """E_p*[ELBO(x)] and E_p*[log p(x)], in nats."""

    elbo: float
    log_likelihood: float


@torch.no_grad()
def exact(model: LatentVariableModel, process: GaussianMixture, spacing: float = 0.1) -> Exact:
    """Both expectations over the process, by its quadrature."""
    nodes, weights = process.quadrature(spacing)
    parameter = next(model.parameters())
    x, weights = nodes.to(parameter), weights.to(parameter.device)
    elbo, log_likelihood = ELBO(Enumerated())(model, x), log_joint(model, x).logsumexp(-1)
    return Exact(float(weights @ elbo.double()), float(weights @ log_likelihood.double()))


def log_joint(model: LatentVariableModel, x: Float[Tensor, "B dims"]) -> Float[Tensor, "B codes"]:
    """Log p(z) p(x | z) for every code z, the first bit slowest, in nats."""
    codes = enumerate_codes(model.encoder.prototype()).to(x)
    return model.log_joint(x, codes).T


def model_posterior(model: LatentVariableModel, x: Float[Tensor, "B dims"]) -> Float[Tensor, "B codes"]:
    """p(z | x), the posterior the decoder and the prior imply."""
    return log_joint(model, x).softmax(-1)


def encoder_posterior(model: LatentVariableModel, x: Float[Tensor, "B dims"]) -> Float[Tensor, "B codes"]:
    """q(z | x), the encoder's."""
    q = model.encoder(x)
    return q.log_prob(enumerate_codes(q)).exp().T
