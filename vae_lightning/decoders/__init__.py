"""Decoders: what a network emits -> likelihoods richer than independent entries."""

from vae_lightning.decoders.autoregressive import Autoregressive, decoder_of

__all__ = ["Autoregressive", "decoder_of"]
