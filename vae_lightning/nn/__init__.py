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
from vae_lightning.nn.dcgan import DCGANDiscriminator, DCGANEncoder, DCGANGenerator
from vae_lightning.nn.jtex import CholeskyLinear, Cubed, CubeRootMLP
from vae_lightning.nn.linear import LinearMap
from vae_lightning.nn.mlp import MLP
from vae_lightning.nn.one_hot import OneHotLinear
from vae_lightning.nn.outputs import Outputs
from vae_lightning.nn.pixel_cnn import Causal, PixelCNN
from vae_lightning.nn.pooled import PooledConvolutions, PooledStage
from vae_lightning.nn.residual import ResidualBlock, ResidualDiscriminator, ResidualEncoder, ResidualGenerator
from vae_lightning.nn.scale import ScalePerDimension, SharedScale
from vae_lightning.nn.spectral_norm import SpectralNorm
from vae_lightning.nn.starting import StartsFromData, TrainingData, TrainingRows

__all__ = [
    "MLP",
    "TFIDF",
    "BagOfWordsMLP",
    "Causal",
    "CholeskyLinear",
    "Convolutions",
    "CubeRootMLP",
    "Cubed",
    "DCGANDiscriminator",
    "DCGANEncoder",
    "DCGANGenerator",
    "Deconvolutions",
    "Features",
    "LinearMap",
    "OneHotLinear",
    "Outputs",
    "PixelCNN",
    "PooledConvolutions",
    "PooledStage",
    "ResidualBlock",
    "ResidualDiscriminator",
    "ResidualEncoder",
    "ResidualGenerator",
    "ScalePerDimension",
    "ScaledFrequencies",
    "SharedScale",
    "SpectralNorm",
    "StartsFromData",
    "TrainingData",
    "TrainingRows",
    "WordCounts",
    "WordFrequencies",
    "WordLogits",
]
