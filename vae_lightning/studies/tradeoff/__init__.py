"""Likelihood against mismatch as the ELBO's weight moves: Fig. 1 of VAE Approximation Error (2022), exactly."""

from vae_lightning.studies.tradeoff.study import TradeoffStudy

__all__ = ["TradeoffStudy"]
