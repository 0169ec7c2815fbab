"""Inference: (model, x) -> importance weights, posterior samples, and how far q(z | x) is from p(z | x)."""

from vae_lightning.inference.hamiltonian import Hamiltonian, PosteriorSamples
from vae_lightning.inference.importance import Inflated, Posterior, Proposal, log_weights, log_weights_of
from vae_lightning.inference.inference_gaps import FreePosterior, InferenceGaps, inference_gaps
from vae_lightning.inference.resampled import ResampledPosterior

__all__ = [
    "FreePosterior",
    "Hamiltonian",
    "InferenceGaps",
    "Inflated",
    "Posterior",
    "PosteriorSamples",
    "Proposal",
    "ResampledPosterior",
    "inference_gaps",
    "log_weights",
    "log_weights_of",
]
