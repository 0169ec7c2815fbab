"""Posteriors of N observations -> the density of their equal mixture, by chunked matrix products."""

from __future__ import annotations

import math
from collections.abc import Iterable

import torch
import torch.distributions as td
from jaxtyping import Float, Float64
from torch import Size, Tensor

from vae_lightning.distributions import natural_form, statistics

CHUNK = 1024
"""Samples and components of a block: 8 MB of float64, whatever the number of either."""


def log_mixture(
    eta: Float64[Tensor, "N P"],
    log_normaliser: Float64[Tensor, " N"],
    points: Float64[Tensor, "M P"],
    chunk: int = CHUNK,
) -> Float64[Tensor, " M"]:
    """Log 1/N sum_n exp(<eta_n, T_m> - A_n), in blocks of chunk x chunk; differentiable."""
    components = list(zip(eta.split(chunk), log_normaliser.split(chunk), strict=True))
    sums = [
        _running_log_sum(torch.addmm(-constant, rows, part.mT) for part, constant in components)
        for rows in points.split(chunk)
    ]
    return torch.cat(sums) - math.log(len(eta))


def aggregated_log_prob(
    posterior: td.Distribution,
    z: Float[Tensor, "*rows *latent"],
    chunk: int = CHUNK,
    log_weight: Float[Tensor, " N"] | None = None,
) -> Float64[Tensor, "*rows"]:
    """Log q(z) = log 1/N sum_n w_n q(z | x_n), in nats, for a posterior of batch shape (N,) and z of shape (*M, *Z).

    Without log_weight w_n = 1: the aggregated posterior.

    Gaussians and bits take one matrix product per chunk x chunk block, so memory grows with neither N nor M; any other
    posterior goes through its own `log_prob`, in blocks of the same number of values. Computed in float64 (the generic
    one as precisely as `log_prob` does it), differentiable. Raises ValueError for shapes that do not fit or chunk < 1.
    """
    rows = _rows(posterior, z, chunk)
    weight = 0.0 if log_weight is None else log_weight.double()
    flat = z.reshape(-1, *posterior.event_shape)
    if (natural := natural_form(posterior)) is not None:
        eta, log_normaliser = natural
        parts = [
            log_mixture(eta, log_normaliser - weight, statistics(part, eta.shape[1]), chunk)
            for part in flat.flatten(1).split(chunk)
        ]
        return torch.cat(parts).reshape(rows)
    num_components = posterior.batch_shape[0]
    block = max(1, chunk * chunk // (num_components * posterior.event_shape.numel()))
    parts = [(posterior.log_prob(part[:, None]).double() + weight).logsumexp(-1) for part in flat.split(block)]
    return (torch.cat(parts) - math.log(num_components)).reshape(rows)


def _rows(posterior: td.Distribution, z: Tensor, chunk: int) -> Size:
    """(*rows) of z (*rows, *Z); ValueError for shapes that do not fit and chunk < 1."""
    if chunk < 1:
        raise ValueError(f"the aggregated posterior needs chunk >= 1, got {chunk}")
    event = posterior.event_shape
    rows = z.shape[: z.ndim - len(event)]
    if len(posterior.batch_shape) != 1 or z.shape != rows + event:
        raise ValueError(
            f"the aggregated posterior needs q of batch shape (N,) and z of shape (*, {', '.join(map(str, event))}); "
            f"got batch shape {tuple(posterior.batch_shape)} and z {tuple(z.shape)}"
        )
    return rows


def _running_log_sum(blocks: Iterable[Float64[Tensor, "M block"]]) -> Float64[Tensor, " M"]:
    """Log-sum-exp over the columns of all blocks, each overwritten by its exponentials."""
    total: Tensor | None = None
    for block in blocks:
        largest = block.detach().amax(1, keepdim=True)
        part = block.sub_(largest).exp_().sum(1).log() + largest.squeeze(1)
        total = part if total is None else torch.logaddexp(total, part)
    assert total is not None, "a distribution's batch is not empty"
    return total
