"""Priors: () -> Distribution over the latent variable."""

from vae_lightning.priors.aggregated import AggregatedPosterior
from vae_lightning.priors.base import Prior
from vae_lightning.priors.factorised import FactorisedPrior
from vae_lightning.priors.hierarchical import HierarchicalPrior
from vae_lightning.priors.mixture import Mixture, MixturePrior
from vae_lightning.priors.vamp import VampPrior

__all__ = [
    "AggregatedPosterior",
    "FactorisedPrior",
    "HierarchicalPrior",
    "Mixture",
    "MixturePrior",
    "Prior",
    "VampPrior",
]
