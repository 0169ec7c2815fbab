"""Features: what is at hand -> the network under which distances between images are taken."""

from __future__ import annotations

from torch import Tensor, nn

from vae_lightning.data.images.inception_weights import inception_weights
from vae_lightning.metrics.images.features import Features, NetworkFeatures
from vae_lightning.metrics.images.inception import InceptionFeatures

SIDE = 8


class CoarsePixels(nn.Module):
    """Images as their pixels averaged to 8 x 8: colours and shapes, and none of the details that a person sees."""

    def forward(self, images: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, 64 C)."""
        return nn.functional.adaptive_avg_pool2d(images, SIDE).flatten(1)


def chosen_features() -> Features:
    """Inception with the FID weights, where these are in the data folder; else a stand-in."""
    weights = inception_weights()
    return InceptionFeatures(weights) if weights.is_file() else NetworkFeatures(CoarsePixels())


def name_of(features: Features) -> str:
    """What a table calls them."""
    return "Inception, FID's weights" if features.is_fid else features.description["network"].rpartition(".")[2]
