"""Features: what is at hand -> the network under which distances between images are taken."""

from __future__ import annotations

from vae_lightning.data.images.inception_weights import inception_weights
from vae_lightning.metrics import AttributeFeatures, InceptionFeatures
from vae_lightning.metrics.images.features import Features


def chosen_features() -> Features:
    """Inception with the FID weights, where these are in the data folder; else the package's own, of faces."""
    weights = inception_weights()
    return InceptionFeatures(weights) if weights.is_file() else AttributeFeatures()
