"""CelebA: a folder or a zip file of faces, with or without their annotations -> splits of images in [-1, 1]."""

from vae_lightning.data.images.celeba.celeba import CelebA
from vae_lightning.data.images.celeba.preparation import FacePreparation

__all__ = ["CelebA", "FacePreparation"]
