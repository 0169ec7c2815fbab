"""Metrics: sums over batches and processes -> numbers, with `functional` for the same on tensors in hand."""

from vae_lightning.metrics.active_units import ActiveUnits
from vae_lightning.metrics.hamming import HammingPrecision
from vae_lightning.metrics.henze_zirkler import HenzeZirkler
from vae_lightning.metrics.smooth_knn import SmoothKNN
from vae_lightning.metrics.surgery import ELBOSurgery

__all__ = ["ActiveUnits", "ELBOSurgery", "HammingPrecision", "HenzeZirkler", "SmoothKNN"]
