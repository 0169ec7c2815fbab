"""Pictures for TensorBoard: what a model generates, reconstructs, and makes of its latent space."""

from vae_lightning.callbacks.pictures.chains import Chains
from vae_lightning.callbacks.pictures.interpolations import Interpolations
from vae_lightning.callbacks.pictures.latent_scatter import LatentScatter
from vae_lightning.callbacks.pictures.pseudo_inputs import PseudoInputs, PseudoInputSamples
from vae_lightning.callbacks.pictures.reconstructions import Reconstructions
from vae_lightning.callbacks.pictures.samples import Samples
from vae_lightning.callbacks.pictures.traversals import Traversals

__all__ = [
    "Chains",
    "Interpolations",
    "LatentScatter",
    "PseudoInputSamples",
    "PseudoInputs",
    "Reconstructions",
    "Samples",
    "Traversals",
]
