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
from vae_lightning.nn.mlp import MLP
from vae_lightning.nn.one_hot import OneHotLinear

__all__ = [
    "MLP",
    "TFIDF",
    "BagOfWordsMLP",
    "Features",
    "OneHotLinear",
    "ScaledFrequencies",
    "WordCounts",
    "WordFrequencies",
    "WordLogits",
]
