"""LightningModules."""

from vae_lightning.models.hashing import HashingVAE
from vae_lightning.models.vae import VAE

__all__ = ["VAE", "HashingVAE"]
