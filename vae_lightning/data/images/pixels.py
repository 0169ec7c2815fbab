"""Pixels: images as whole numbers in memory -> the floats of a batch, binarised or not."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from jaxtyping import Float, Int64, UInt8
from torch import Tensor

from vae_lightning.data.images.binarise import Binarisation


@dataclass(frozen=True)
class Pixels:
    """Looks at whole numbers from 0 to `white` as float32 in [0, 1], or as zeros and ones by `binarisation`."""

    limits: ClassVar[tuple[float, float]] = (0.0, 1.0)
    white: int
    binarisation: Binarisation | None = None

    def __call__(
        self, stored: UInt8[Tensor, "B C H W"], ids: Int64[Tensor, " B"], draw: int | None = None
    ) -> Float[Tensor, "B C H W"]:
        """x of these observations."""
        x = stored.float().div_(self.white)
        return x if self.binarisation is None else self.binarisation(x, ids, draw)
