"""Images: a model of images -> the Frechet distance of what it makes; the same weights, laid out for convolutions."""

from vae_lightning.callbacks.images.channels_last import ChannelsLast
from vae_lightning.callbacks.images.fid import FrechetInceptionDistance
from vae_lightning.callbacks.images.references import CheckpointReference, DataReference
from vae_lightning.callbacks.images.samplers import ImageMeans, ImageSamples

__all__ = [
    "ChannelsLast",
    "CheckpointReference",
    "DataReference",
    "FrechetInceptionDistance",
    "ImageMeans",
    "ImageSamples",
]
