"""Codes of observations: means of true and of learned posteriors, and the density of the aggregated posterior."""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Float, Float64
from torch import Tensor
from torch.optim import Adam
from torch.optim.lr_scheduler import LambdaLR

from vae_lightning.data.processes import LatentProcess, LinearGaussian, PlanarProcess
from vae_lightning.data.processes.quadrature import NEGLIGIBLE, log_integral
from vae_lightning.studies.libi_methods import LEARNING_RATE, late_decay


def posterior_means(process: LatentProcess, x: Float[Tensor, "B dims"]) -> Float64[Tensor, "B latent"]:
    """E[z | x] under a process, in closed form or by quadrature; TypeError for another kind of process."""
    x = x.double()
    if isinstance(process, LinearGaussian):
        return process.posterior(x).mean
    if isinstance(process, PlanarProcess):
        return torch.cat([_means_in_the_plane(process, rows) for rows in x.split(32)])
    raise TypeError(f"posterior means are known of linear and planar processes, not of {type(process).__name__}")


def _means_in_the_plane(process: PlanarProcess, x: Float64[Tensor, "B 2"]) -> Float64[Tensor, "B 2"]:
    """The gradient of log int p(x, z) exp(t'z) dz in t at 0."""
    noise = ((x - process.decode(torch.zeros_like(x))) / process.noise_variance.sqrt()).square().sum(-1)
    code = process.invert(x).square().sum(-1).nan_to_num(torch.inf)
    low, high = process.box(x, (torch.minimum(noise, code) + 2 * NEGLIGIBLE).sqrt()[:, None])
    tilt = torch.zeros_like(x, requires_grad=True)

    def log_density(u: Float64[Tensor, "B nodes 2"]) -> Float64[Tensor, "B nodes"]:
        z, log_volume = process.code(u)
        return process.log_joint(x[:, None], z) + log_volume + (z * tilt[:, None]).sum(-1)

    with torch.enable_grad():
        (means,) = torch.autograd.grad(log_integral(log_density, low, high).sum(), tilt)
    return means


def fit_inference(module: Any, truth: LatentProcess, x: Tensor, steps: int, seed: int) -> Any:
    """Train a module's encoder for a decoder that is the truth: min over phi of the posterior-matching term."""
    optimizer = Adam(module.model.encoder.parameters(), lr=LEARNING_RATE)
    scheduler = LambdaLR(optimizer, lambda step: late_decay(step, steps))
    noise, variance = torch.Generator().manual_seed(seed), truth.noise_variance.to(x)
    for _ in range(steps):
        q = module.model.encoder(x)
        z = q.mean + q.stddev * torch.randn(q.mean.shape, generator=noise, dtype=x.dtype)
        error = ((x - truth.decode(z)).square() / variance).sum(-1) / 2
        rate = (q.mean.square() + q.stddev.square() - 1).sum(-1) / 2 - q.stddev.log().sum(-1)
        optimizer.zero_grad()
        (error + rate).mean().backward()
        optimizer.step()
        scheduler.step()
    return module


@torch.no_grad()
def codes(module: Any, x: Tensor) -> Float[Tensor, "B latent"]:
    """The means of q(z | x)."""
    return module.model.encoder(x).mean


@torch.no_grad()
def aggregated_density(module: Any, x: Tensor, points: Float[Tensor, "P latent"]) -> Float[Tensor, " P"]:
    """The mean of q(z | x_n) over observations, at points z."""
    return module.model.encoder(x).log_prob(points.to(x)[:, None]).exp().mean(1)
