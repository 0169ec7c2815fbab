"""The models of the artificial example: a VAE with independent bits, one with coupled bits, and an RBM."""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
from torch.optim.lr_scheduler import CosineAnnealingWarmRestarts

from vae_lightning.data.processes import GaussianMixture
from vae_lightning.estimators import Enumerated
from vae_lightning.families import Bernoulli, BernoulliMRF, Normal
from vae_lightning.models import MRFVAE, RBM, VAE
from vae_lightning.nn import MLP
from vae_lightning.nn.one_hot import OneHotLinear
from vae_lightning.objectives import ELBO, EnumeratedLikelihood


def mixture_vae(process: GaussianMixture, phase_epochs: int) -> VAE:
    """The experiment's model, as in configs/mixture.yaml: two factorised bits, a decoder that starts at the truth."""
    return VAE(latent=Bernoulli(2), **_shared(process, phase_epochs))


def mixture_mrf(process: GaussianMixture, phase_epochs: int) -> MRFVAE:
    """The same model with bits that the encoder couples, as in configs/mixture-mrf.yaml.

    Two biases and a coupling are any distribution over four codes: this encoder's family holds every posterior.
    """
    return MRFVAE(latent=BernoulliMRF(1, 1), **_shared(process, phase_epochs))


def mixture_rbm(process: GaussianMixture, epochs: int) -> RBM:
    """The Gaussian-Bernoulli RBM of two hidden bits, by maximum likelihood: the exact gradient, over its four codes."""
    return RBM(
        visible=Normal(2, scale=process.sigma),
        hidden=Bernoulli(2),
        algorithm=EnumeratedLikelihood(),
        optimizer=partial(torch.optim.Adam, lr=0.03),  # at a third of it, some starts stay at W = 0 for epochs
        scheduler=partial(CosineAnnealingWarmRestarts, T_0=epochs),
    )


def _shared(process: GaussianMixture, phase_epochs: int) -> dict[str, Any]:
    return {
        "observed": Normal(2, scale=process.sigma),
        "encoder": partial(MLP, hidden=(64, 64)),
        "decoder": partial(OneHotLinear, weight=process.centers.tolist()),
        "objective": ELBO(Enumerated()),
        "optimizer": partial(torch.optim.Adam, lr=0.01),
        "scheduler": partial(CosineAnnealingWarmRestarts, T_0=phase_epochs),
    }
