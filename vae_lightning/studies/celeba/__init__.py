"""How the ELBO harms a decoder that was right, in pictures: section 4.2 of VAE Approximation Error (2022)."""

from vae_lightning.studies.celeba.study import CelebAStudy

__all__ = ["CelebAStudy"]
