"""ResampledPosterior: q_EW of a model as a distribution of codes."""

from __future__ import annotations

import math

import torch
from support.gaussian_world import EVIDENCE, WIDE, twos, world

from vae_lightning.data.processes import LinearGaussian
from vae_lightning.estimators import Reparameterised
from vae_lightning.families import Normal
from vae_lightning.inference.resampled import ResampledPosterior as Resampled
from vae_lightning.models import VAE
from vae_lightning.nn import MLP
from vae_lightning.objectives import ELBO


def test_its_elbo_lies_between_the_bound_and_the_evidence() -> None:
    """`model.draw` takes it as a posterior; K = 2 has L_2 = -2.6898 and ELBO(q_EW) = -2.4985 (quadrature)."""
    torch.manual_seed(0)
    model, x = world(*WIDE), twos(20)
    q = Resampled(model, x, num_samples=2, replicates=4000)
    z = q.sample(torch.Size([400]))
    assert z.shape == (400, 20, 1)
    terms = model.draw(x, q, z).log_weight.mean(0)
    error = terms.std().item() / math.sqrt(20)
    assert abs(terms.mean().item() + 2.498516211200515) < 4 * error
    assert error < 0.02
    assert -2.6898389 + 4 * error < terms.mean() < EVIDENCE
    assert q.sample().shape == (20, 1)


def test_many_samples_find_the_true_posterior_of_each_observation() -> None:
    torch.manual_seed(0)
    module = VAE(Normal(2), Normal(2, scale=0.5), MLP, MLP, ELBO(Reparameterised()))
    output = module.model.decoder.network.output
    truth = LinearGaussian(output.weight.detach().double(), torch.full((2,), 0.25).double())
    x = torch.tensor([[0.0, 0.0], [0.5, 0.3], [-0.4, 0.2]])
    z = Resampled(module.model, x, 2000).sample(torch.Size([1000]))
    exact = truth.posterior(x - output.bias.detach())
    assert ((z.mean(0) - exact.mean).abs() < 4 * z.std(0) / math.sqrt(1000) + 0.05).all()
