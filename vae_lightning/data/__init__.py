"""Data: LightningDataModules whose batches are (x, y); they are imported once one of them is used."""

from typing import TYPE_CHECKING

from vae_lightning.construction.rooms import lazily

if TYPE_CHECKING:
    from vae_lightning.data.arrays import Arrays
    from vae_lightning.data.base import InMemoryDataModule
    from vae_lightning.data.full_batch import FullBatch
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
    from vae_lightning.data.loaders import Observations
    from vae_lightning.data.stacked import Stacked
    from vae_lightning.data.synthetic import Synthetic
    from vae_lightning.data.texts.newsgroups import Newsgroups
    from vae_lightning.data.texts.texts import Texts
    from vae_lightning.data.texts.vocabulary import ByCount, ByDocuments

__all__ = [
    "MNIST",
    "Arrays",
    "Binarisation",
    "ByCount",
    "ByDocuments",
    "CelebA",
    "Digits",
    "DynamicBinarisation",
    "FullBatch",
    "ImageFolder",
    "InMemoryDataModule",
    "Newsgroups",
    "Observations",
    "Omniglot",
    "Stacked",
    "StaticBinarisation",
    "Synthetic",
    "Texts",
    "ThresholdBinarisation",
]

__getattr__ = lazily(
    __name__,
    {
        "arrays.arrays": "Arrays",
        "base": "InMemoryDataModule",
        "full_batch": "FullBatch",
        "images.binarise": "Binarisation DynamicBinarisation StaticBinarisation ThresholdBinarisation",
        "images.celeba.celeba": "CelebA",
        "images.digits": "Digits",
        "images.image_folder": "ImageFolder",
        "images.mnist": "MNIST",
        "images.omniglot": "Omniglot",
        "loaders": "Observations",
        "stacked": "Stacked",
        "synthetic": "Synthetic",
        "texts.newsgroups": "Newsgroups",
        "texts.texts": "Texts",
        "texts.vocabulary": "ByCount ByDocuments",
    },
)
