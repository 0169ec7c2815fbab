"""Posteriors, prior and samples -> the rate cut into mutual information and marginal KL."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.distributions as td
from jaxtyping import Float, Float64
from torch import Tensor

from vae_lightning.distributions import natural_form, statistics
from vae_lightning.metrics.functional.aggregated import CHUNK, aggregated_log_prob


@dataclass(frozen=True, eq=False)
class Surgery:
    """The terms of ELBO surgery in nats, each with its standard error; rate = mutual_information + marginal_kl exactly.

    An error is sd / sqrt(N) of the terms of the N observations (their samples averaged), which counts the choice of
    the data with that of the samples: for the terms of this very data set it is on the safe side.
    """

    rate: Float64[Tensor, ""]
    mutual_information: Float64[Tensor, ""]
    marginal_kl: Float64[Tensor, ""]
    log_n: float
    rate_error: Float64[Tensor, ""]
    mutual_information_error: Float64[Tensor, ""]
    marginal_kl_error: Float64[Tensor, ""]


@torch.no_grad()
def elbo_surgery(
    posterior: td.Distribution, prior: td.Distribution, z: Float[Tensor, "samples N *latent"], chunk: int = CHUNK
) -> Surgery:
    """Cut the rate into what codes tell about their observations and how far they are, together, from the prior.

        1/N sum_n KL(q(z | x_n) | p(z))  =  I_q(n; z)  +  KL(q(z) | p(z)),      q(z) = 1/N sum_n q(z | x_n)
                 rate                mutual_information   marginal_kl

    in nats, by averages over the given samples of log q(z | x) - log p(z), log q(z | x) - log q(z) and
    log q(z) - log p(z). The mutual information is at most log N, its value when no two posteriors overlap.

    Args:
        posterior: q(z | x_n), of batch shape (N,) and event shape Z. Gaussians and bits are fast; any family works.
        prior: p(z), of batch shape () and event shape Z.
        z: (S, N, *Z), z[:, n] drawn from q(z | x_n).
        chunk: samples and posteriors of a block of the S N x N densities; memory does not grow beyond it.

    Raises:
        ValueError: shapes that do not fit, chunk < 1.

    Source: Hoffman, Johnson, ELBO Surgery: yet another way to carve up the variational evidence lower bound (2016).

    Examples:
        >>> import torch
        >>> from vae_lightning.families import Normal
        >>> from vae_lightning.metrics.functional import elbo_surgery
        >>> posterior = Normal(1, scale=1.0).distribution(torch.tensor([[-100.0], [100.0]]))
        >>> prior = Normal(1, scale=100.0).distribution(torch.zeros(1))
        >>> surgery = elbo_surgery(posterior, prior, posterior.sample((10,)))
        >>> round(surgery.mutual_information.item(), 4), round(surgery.log_n, 4)  # two codes far apart: log 2
        (0.6931, 0.6931)
        >>> torch.allclose(surgery.rate, surgery.mutual_information + surgery.marginal_kl)
        True
    """
    check_surgery(posterior, prior, z)
    log_aggregated = aggregated_log_prob(posterior, z, chunk)
    return surgery_terms(own_log_prob(posterior, z), log_aggregated, prior.log_prob(z))


def surgery_terms(
    log_posterior: Float[Tensor, "samples N"],
    log_aggregated: Float[Tensor, "samples N"],
    log_prior: Float[Tensor, "samples N"],
) -> Surgery:
    """The record, from log q(z | x_n), log q(z) and log p(z) at samples z of each of N posteriors."""
    log_posterior, log_aggregated, log_prior = (term.double() for term in (log_posterior, log_aggregated, log_prior))
    n = log_posterior.shape[1]
    differences = log_posterior - log_prior, log_posterior - log_aggregated, log_aggregated - log_prior
    terms = torch.stack(differences).mean(1)
    rate, mutual_information, marginal_kl = terms.mean(1)
    errors = terms.std(1) / math.sqrt(n) if n > 1 else terms.new_full((3,), math.nan)
    return Surgery(rate, mutual_information, marginal_kl, math.log(n), *errors)


def own_log_prob(posterior: td.Distribution, z: Float[Tensor, "samples N *latent"]) -> Float64[Tensor, "samples N"]:
    """Log q(z_sn | x_n), by the arithmetic of the aggregated posterior where there is one: what both round cancels."""
    natural = natural_form(posterior)
    if natural is None:
        return posterior.log_prob(z).double()
    eta, log_normaliser = natural
    blocks = zip(z.flatten(2).split(CHUNK, 1), eta.split(CHUNK), strict=True)
    return torch.cat([(statistics(part, eta.shape[1]) * rows).sum(-1) for part, rows in blocks], 1) - log_normaliser


def check_surgery(posterior: td.Distribution, prior: td.Distribution, z: Tensor) -> None:
    """ValueError unless q is (N,), p is () and z (S, N, *Z) with S >= 1."""
    if len(posterior.batch_shape) != 1 or not z.numel() or z.shape[1:] != posterior.batch_shape + posterior.event_shape:
        raise ValueError(
            f"ELBO surgery needs q(z | x) of batch shape (N,) and z (S, N, *Z); got batch shape "
            f"{tuple(posterior.batch_shape)}, event shape {tuple(posterior.event_shape)} and z {tuple(z.shape)}"
        )
    if prior.batch_shape or prior.event_shape != posterior.event_shape:
        raise ValueError(
            f"ELBO surgery needs a prior of batch shape () and event shape {tuple(posterior.event_shape)}; got "
            f"{tuple(prior.batch_shape)} and {tuple(prior.event_shape)}"
        )
