"""Semantic hashing: a model's binary codes of documents -> what they retrieve, how bits are used, what they mean."""

from vae_lightning.callbacks.hashing.bit_use import BitUse
from vae_lightning.callbacks.hashing.hamming import HammingPrecision
from vae_lightning.callbacks.hashing.logits_by_length import LogitsByLength
from vae_lightning.callbacks.hashing.nearest_words import NearestWords

__all__ = ["BitUse", "HammingPrecision", "LogitsByLength", "NearestWords"]
