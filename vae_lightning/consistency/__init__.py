"""Consistency: a VAE and its nearest harmonium: how far apart they are, and how to get from one to the other."""

from vae_lightning.consistency.conversion import harmonium_of, harmonium_with, tight_vae
from vae_lightning.consistency.escape import Escape, discrete_flow, smooth_flow
from vae_lightning.consistency.exact import best_factorised, codes_of, log_joint, log_posteriors, tightness
from vae_lightning.consistency.fits import decoder_fit, encoder_fit
from vae_lightning.consistency.projection import Projection, least_squares_harmonium, nearest_harmonium
from vae_lightning.consistency.sides import HarmoniumPrior, HiddenGiven, VisibleGiven

__all__ = [
    "Escape",
    "HarmoniumPrior",
    "HiddenGiven",
    "Projection",
    "VisibleGiven",
    "best_factorised",
    "codes_of",
    "decoder_fit",
    "discrete_flow",
    "encoder_fit",
    "harmonium_of",
    "harmonium_with",
    "least_squares_harmonium",
    "log_joint",
    "log_posteriors",
    "nearest_harmonium",
    "smooth_flow",
    "tight_vae",
    "tightness",
]
