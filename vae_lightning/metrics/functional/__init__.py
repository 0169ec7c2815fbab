"""Numbers from tensors: pure functions that the metrics add up."""

from vae_lightning.metrics.functional.hamming import (
    Neighbourhoods,
    hamming_found_within,
    hamming_precision,
    hamming_precision_within,
    neighbourhoods,
    precision_at,
)

__all__ = [
    "Neighbourhoods",
    "hamming_found_within",
    "hamming_precision",
    "hamming_precision_within",
    "neighbourhoods",
    "precision_at",
]
