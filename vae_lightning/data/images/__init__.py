"""Images: files of pixels -> splits of images, in intensities or binarised."""

from vae_lightning.data.images.binarise import (
    Binarisation,
    DynamicBinarisation,
    StaticBinarisation,
    ThresholdBinarisation,
)
from vae_lightning.data.images.celeba.celeba import CelebA
from vae_lightning.data.images.digits import Digits
from vae_lightning.data.images.image_folder import ImageFolder
from vae_lightning.data.images.mnist import MNIST
from vae_lightning.data.images.omniglot import Omniglot

__all__ = [
    "MNIST",
    "Binarisation",
    "CelebA",
    "Digits",
    "DynamicBinarisation",
    "ImageFolder",
    "Omniglot",
    "StaticBinarisation",
    "ThresholdBinarisation",
]
