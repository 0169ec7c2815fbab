"""Images: two sets of them -> how far apart their features are."""

from vae_lightning.metrics.images.attributes import AttributeFeatures
from vae_lightning.metrics.images.fid import FrechetInceptionDistance
from vae_lightning.metrics.images.inception import InceptionFeatures

__all__ = ["AttributeFeatures", "FrechetInceptionDistance", "InceptionFeatures"]
