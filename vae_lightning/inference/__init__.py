"""Inference: (model, x) -> importance weights, posterior samples, and how far q(z | x) is from p(z | x)."""

from vae_lightning.inference.clamped import harmonium_imputed
from vae_lightning.inference.filled import Imputed
from vae_lightning.inference.hamiltonian import Hamiltonian, PosteriorSamples
from vae_lightning.inference.importance import Inflated, Posterior, Proposal, log_weights, log_weights_of
from vae_lightning.inference.imputation import imputed
from vae_lightning.inference.inference_gaps import FreePosterior, InferenceGaps, inference_gaps
from vae_lightning.inference.resampled import ResampledPosterior
from vae_lightning.inference.scores import HarmoniumScorer, Scores, harmonium_scores, scores

__all__ = [
    "FreePosterior",
    "Hamiltonian",
    "HarmoniumScorer",
    "Imputed",
    "InferenceGaps",
    "Inflated",
    "Posterior",
    "PosteriorSamples",
    "Proposal",
    "ResampledPosterior",
    "Scores",
    "harmonium_imputed",
    "harmonium_scores",
    "imputed",
    "inference_gaps",
    "log_weights",
    "log_weights_of",
    "scores",
]
