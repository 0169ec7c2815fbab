"""The models of the study of priors: an objective and a prior, or none -> a module, untrained."""

from __future__ import annotations

from functools import partial

from vae_lightning.conditional import Network
from vae_lightning.estimators import Reparameterised
from vae_lightning.families import Bernoulli
from vae_lightning.models import HVAE, GaussianVAE
from vae_lightning.nn import MLP, PixelCNN
from vae_lightning.objectives import ELBO, Objective, WarmUp
from vae_lightning.priors import Prior, VampPrior

LATENT, IMAGE = 16, (1, 8, 8)
SAMPLES = 100  # of z for each digit: what the ELBO and its terms are averages over
HIDDEN = partial(MLP, hidden=(200, 200))
PIXELS = partial(PixelCNN, network=partial(MLP, hidden=(218,)), layers=2, first_kernel=3)
"""As many parameters as the decoder HIDDEN of 16 codes, but for 21 of 56,464. It sees near pixels; the rest is z's."""
STEPS = 20  # of an epoch: 1,258 digits in batches of 64


def one_level(objective: Objective, prior: Prior) -> GaussianVAE:
    """The VAE of all cells of one level."""
    return GaussianVAE(LATENT, Bernoulli(IMAGE), HIDDEN, HIDDEN, objective, prior, evaluation_samples=SAMPLES)


def two_levels(decoder: Network, epochs: int) -> HVAE:
    """Two levels of half the units, under a VampPrior of 100; the KL's weight grows for half of so many epochs.

    Without that a decoder of pixels learns to do without codes.
    """
    half, networks = LATENT // 2, (HIDDEN, HIDDEN, HIDDEN, decoder)
    objective = ELBO(Reparameterised(), WarmUp(max(1, STEPS * epochs // 2)))
    prior = VampPrior(half, IMAGE, 100)
    return HVAE([half, half], Bernoulli(IMAGE), *networks, prior, objective, evaluation_samples=SAMPLES)
