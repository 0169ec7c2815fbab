"""Image quality: a model's images beside a reference's -> the Frechet distance of their features."""

from vae_lightning.callbacks.images.fid import FrechetInceptionDistance
from vae_lightning.callbacks.images.references import CheckpointReference, DataReference
from vae_lightning.callbacks.images.samplers import ImageMeans, ImageSamples

__all__ = ["CheckpointReference", "DataReference", "FrechetInceptionDistance", "ImageMeans", "ImageSamples"]
