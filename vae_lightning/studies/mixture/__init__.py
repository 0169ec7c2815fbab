"""What a factorised encoder does to a decoder: the artificial example of VAE Approximation Error (2022)."""

from vae_lightning.studies.mixture.study import MixtureStudy

__all__ = ["MixtureStudy"]
