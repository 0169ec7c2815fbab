"""The importance-resampled posterior q_EW: samples and log-weights -> one of them, and its density."""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor

from vae_lightning.randomness import Noise


def resample(
    z: Float[Tensor, "samples *batch_and_latent"],
    log_weight: Float[Tensor, "samples *batch"],
    noise: Noise | None = None,
) -> Float[Tensor, "*batch_and_latent"]:
    """One of the K samples of each observation, with probability w_k / sum_j w_j: a draw from q_EW.

    z is (K, *B, *Z), log_weight (K, *B), the result (*B, *Z). The choice is argmax of log w_k + Gumbel noise.
    Raises ValueError without samples, or if the shapes do not fit.
    Source: Cremer, Morris, Duvenaud, Reinterpreting Importance-Weighted Autoencoders (2017), Algorithm 1.
    """
    if not len(log_weight) or z.shape[: log_weight.ndim] != log_weight.shape:
        raise ValueError(
            f"resampling needs z (K, *B, *Z) and log-weights (K, *B) with K >= 1; got {tuple(z.shape)} and "
            f"{tuple(log_weight.shape)}"
        )
    uniform = (noise or Noise()).uniform(log_weight.shape, log_weight)
    gumbel = -(-uniform.clamp(min=torch.finfo(uniform.dtype).tiny).log()).log()
    chosen = (log_weight + gumbel).argmax(0, keepdim=True)
    chosen = chosen.reshape(*chosen.shape, *[1] * (z.ndim - chosen.ndim))
    return z.take_along_dim(chosen, 0)[0]


def resampled_log_prob(
    log_joint: Float[Tensor, "*points"],
    log_weight: Float[Tensor, "*points"],
    others: Float[Tensor, "others replicates"],
) -> Float[Tensor, "*points"]:
    """Log q_EW(z | x), in nats: the density of `resample` for one observation, at any points z.

        q_EW(z) = E_{z_2, ..., z_K ~ q} [ p(x, z) / (1/K (w(z) + sum_{k >= 2} w(z_k))) ],    w(z) = p(x, z) / q(z | x)

    The expectation is the average over R replicates of the K - 1 other samples, which makes the density unbiased, and
    K = 1 the posterior q itself. E_q_EW[log p(x, z) / q_EW(z)] is at least L_K, not equal to it: L_K is
    E_{z_2..K} of the integral of q_IW(z) log(p(x, z) / q_IW(z)), with the density inside the expectation, which does
    not integrate to one.

    Args:
        log_joint: log p(x, z) at the points.
        log_weight: log w(z) there.
        others: (K - 1, R), log w(z_k) of samples from q.

    Raises ValueError unless others is (K - 1, R) with R >= 1.
    Source: Cremer, Morris, Duvenaud, Reinterpreting Importance-Weighted Autoencoders (2017), Eqs 5 and 6.
    """
    if others.ndim != 2 or not others.shape[1]:
        raise ValueError(f"the other samples' log-weights must be (K - 1, R) with R >= 1, got {tuple(others.shape)}")
    rest = others.logsumexp(0) if len(others) else others.new_full(others.shape[1:], -math.inf)
    total = torch.full_like(log_joint, -math.inf)
    for log_rest in rest:  # a replicate at a time: memory does not grow with their number
        total = total.logaddexp(-log_weight.logaddexp(log_rest))
    return log_joint + total + math.log(len(others) + 1) - math.log(len(rest))
