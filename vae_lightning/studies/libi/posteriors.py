"""Codes of observations: means of true and of learned posteriors, and the density of the aggregated posterior."""

from __future__ import annotations

import torch
import torch.distributions as td
from jaxtyping import Float, Float64
from torch import Tensor, nn
from torch.optim import Adam
from torch.optim.lr_scheduler import LambdaLR

from vae_lightning.data.processes import LatentProcess, LinearGaussian, PlanarProcess
from vae_lightning.data.processes.quadrature import NEGLIGIBLE, log_integral
from vae_lightning.estimators import Reparameterised
from vae_lightning.latent_variable import LatentVariableModel
from vae_lightning.objectives import AnalyticELBO
from vae_lightning.process import without_asking
from vae_lightning.randomness import seeded
from vae_lightning.studies.libi.methods import LEARNING_RATE, late_decay


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


class TrueDecoder(nn.Module):
    """p(x | z) of a process, as a decoder: N(f(z), diag(noise_variance))."""

    def __init__(self, process: LatentProcess) -> None:
        super().__init__()
        self.process = process
        self.context_shape, self.event_shape = process.latent_shape, process.event_shape

    def forward(self, z: Tensor) -> td.Distribution:
        """p(. | z)."""
        mean = self.process.decode(z)
        return td.Independent(td.Normal(mean, self.process.noise_variance.sqrt().to(mean), validate_args=False), 1)

    def prototype(self) -> td.Distribution:
        """p(. | 0), batch shape (1,)."""
        return self(torch.zeros(1, *self.context_shape))


def fit_inference(
    model: LatentVariableModel, truth: LatentProcess, x: Tensor, steps: int, seed: int
) -> LatentVariableModel:
    """Train the model's encoder for a decoder that is the truth: the ELBO's best q under it; return both as a model."""
    model = LatentVariableModel(model.encoder, TrueDecoder(truth), model.prior)
    elbo, optimizer = AnalyticELBO(Reparameterised()), without_asking(Adam(model.parameters(), lr=LEARNING_RATE))
    scheduler = LambdaLR(optimizer, lambda step: late_decay(step, steps))
    with seeded(seed, "fit_inference"):
        for _ in range(steps):
            optimizer.zero_grad()
            (-elbo(model, x).mean()).backward()
            optimizer.step()
            scheduler.step()
    return model


@torch.no_grad()
def codes(model: LatentVariableModel, x: Tensor) -> Float[Tensor, "B latent"]:
    """The means of q(z | x)."""
    return model.encoder(x).mean


@torch.no_grad()
def aggregated_density(model: LatentVariableModel, x: Tensor, points: Float[Tensor, "P latent"]) -> Float[Tensor, " P"]:
    """The mean of q(z | x_n) over observations, at points z."""
    return model.encoder(x).log_prob(points.to(x)[:, None]).exp().mean(1)
