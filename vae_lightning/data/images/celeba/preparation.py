"""FacePreparation: other pictures -> cut to a square and resized as the training faces were, in [-1, 1]."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from vae_lightning.construction.arguments import check_kinds
from vae_lightning.counts import Counts
from vae_lightning.data.images.decode import Square
from vae_lightning.data.images.pixels import SignedPixels
from vae_lightning.data.images.preparation import ImagePreparation
from vae_lightning.data.preparation import Preparation, Prepared, prepared


class FacePreparation(Preparation):
    """Pictures as `data.CelebA` reads them: a folder, a zip, a file, a list of files, or an array (N, C, H, W).

    x is in [-1, 1], and answers are in [0, 1], as pictures are. An array of bytes has 255 for white; one of floats is
    x itself.

    Args:
        shape: (C, H, W) of an x.
        crop: (height, width) of the central part that is kept of a file; None for the largest square.

    Examples:
        >>> import numpy as np
        >>> from vae_lightning.data.images.celeba import FacePreparation
        >>> preparation = FacePreparation([3, 8, 8])
        >>> x = preparation.read(np.zeros((2, 3, 8, 8), np.uint8)).observations.x
        >>> x.unique(), preparation.to_original(x).unique()
        (tensor([-1.]), tensor([0.]))
    """

    def __init__(self, shape: Sequence[int], crop: Sequence[int] | None = None) -> None:
        check_kinds(FacePreparation, locals())
        self.images = ImagePreparation(shape, crop)
        self.images.shape = Square(self.images.shape.size, self.images.shape.crop, self.images.shape.channels)
        self.images.limits = SignedPixels.limits

    def read(self, data: Any) -> Prepared:
        """ValueError for a file that is no image, and for arrays of another shape."""
        found = self.images.read(data)
        seen = found.observations
        if seen.view is not None:
            return replace(found, observations=replace(seen, view=SignedPixels()), original=seen)
        assert isinstance(seen.stored, Tensor), "what is not viewed are floats"
        return replace(found, original=prepared(self.to_original(seen.stored)).observations)

    def to_original(self, x: Float[Tensor, "*n C H W"]) -> Float[Tensor, "*n C H W"]:
        """[-1, 1] -> [0, 1]."""
        return (x + 1) / 2

    def spread(self, x: Float[Tensor, "*n C H W"]) -> Float[Tensor, "*n C H W"]:
        """Half of it."""
        return x / 2

    def log_volume(self, x: Tensor | Counts) -> Float[Tensor, " n"]:
        """Log 2 for each pixel and channel."""
        assert isinstance(x, Tensor), "pictures are dense"
        return torch.full((len(x),), math.log(2) * x[:1].numel(), dtype=torch.float64)
