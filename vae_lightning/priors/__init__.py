"""Priors: () -> Distribution over the latent variable."""

from vae_lightning.priors.base import Prior
from vae_lightning.priors.factorised import FactorisedPrior

__all__ = ["FactorisedPrior", "Prior"]
