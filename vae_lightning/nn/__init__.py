"""Networks: tensors -> tensors, nothing of probability."""

from vae_lightning.nn.bag_of_words import (
    TFIDF,
    BagOfWordsMLP,
    Features,
    ScaledFrequencies,
    WordCounts,
    WordFrequencies,
    WordLogits,
)
from vae_lightning.nn.convolutional import Convolutions, Deconvolutions
from vae_lightning.nn.mlp import MLP
from vae_lightning.nn.one_hot import OneHotLinear
from vae_lightning.nn.scale import ScalePerDimension, SharedScale

__all__ = [
    "MLP",
    "TFIDF",
    "BagOfWordsMLP",
    "Convolutions",
    "Deconvolutions",
    "Features",
    "OneHotLinear",
    "ScalePerDimension",
    "ScaledFrequencies",
    "SharedScale",
    "WordCounts",
    "WordFrequencies",
    "WordLogits",
]
