"""Pixels: images as whole numbers in memory -> the floats of a batch, binarised or not."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float, Int64, UInt8
from torch import Tensor

from vae_lightning.data.images.binarise import Binarisation, uniform
from vae_lightning.randomness import derive_seed


@dataclass(frozen=True)
class Pixels:
    """Looks at whole numbers from 0 to `white` as float32 in [0, 1], or as zeros and ones by `binarisation`."""

    limits: ClassVar[tuple[float, float]] = (0.0, 1.0)
    white: int
    binarisation: Binarisation | None = None

    @property
    def draws(self) -> bool:
        """Whether pixels become zeros and ones."""
        return self.binarisation is not None

    def __call__(
        self, stored: UInt8[Tensor, "B C H W"], ids: Int64[Tensor, " B"], draw: int | None = None
    ) -> Float[Tensor, "B C H W"]:
        """x of these observations."""
        x = stored.float().div_(self.white)
        return x if self.binarisation is None else self.binarisation(x, ids, draw)


@dataclass(frozen=True)
class SignedPixels:
    """Looks at bytes as float32 in [-1, 1]; in training, with `flip`, at half of the images in a mirror.

    Which half is a function of (seed of the run, epoch, id): a resumed run sees the same, as does any number of
    processes.
    """

    limits: ClassVar[tuple[float, float]] = (-1.0, 1.0)
    flip: bool = False

    @property
    def draws(self) -> bool:
        """Whether it mirrors."""
        return self.flip

    def __call__(
        self, stored: UInt8[Tensor, "B C H W"], ids: Int64[Tensor, " B"], draw: int | None = None
    ) -> Float[Tensor, "B C H W"]:
        """x of these observations."""
        x = stored.float().div_(127.5).sub_(1.0)
        if draw is None or not self.flip:
            return x
        mirrored = (torch.from_numpy(uniform(derive_seed(draw, "flip"), ids.numpy(), 1)) < 0.5).to(x.device)
        return torch.where(mirrored[..., None, None], x.flip(-1), x)
