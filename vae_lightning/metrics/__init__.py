"""Metrics: sums over batches and processes -> numbers, with `functional` for the same on tensors in hand."""

from vae_lightning.metrics.hamming import HammingPrecision

__all__ = ["HammingPrecision"]
