"""Arrays: rows of numbers, in memory or in a file -> splits of them."""

from vae_lightning.data.arrays.arrays import Arrays

__all__ = ["Arrays"]
