"""Decode: image files -> one tensor of bytes, all cut and resized alike."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import UInt8
from PIL import Image, ImageOps, UnidentifiedImageError
from torch import Tensor
from torchvision.transforms.v2 import functional as transforms

CHUNK = 4096  # images resized at once


def sides(name: str, size: int | Sequence[int] | None) -> tuple[int, int] | None:
    """(height, width) of a number, which means a square, or of the two; ValueError for what is no size."""
    if size is None:
        return None
    both = (size, size) if isinstance(size, int) else tuple(size)
    if len(both) != 2 or min(both) < 1:
        raise ValueError(f"{name} must be a positive number of pixels, or two of them (height, width); got {size}")
    return both[0], both[1]


@dataclass(frozen=True)
class Shape:
    """What images become: a central part of `crop`, resized to `size`, in 1 channel (grey) or 3 (red, green, blue).

    Both are (height, width); None leaves that step out. Resizing is bilinear with antialiasing; it does not keep the
    ratio of the sides.
    """

    size: tuple[int, int] | None = None
    crop: tuple[int, int] | None = None
    channels: int = 1

    def __post_init__(self) -> None:
        if self.channels not in (1, 3):
            raise ValueError(f"channels must be 1 (grey) or 3 (red, green, blue), got {self.channels}")

    def apply(self, images: UInt8[Tensor, "*B C H W"]) -> UInt8[Tensor, "*B C h w"]:
        """Cut and resize; ValueError for images smaller than the crop."""
        height, width = images.shape[-2:]
        if self.crop is not None:
            if self.crop[0] > height or self.crop[1] > width:
                raise ValueError(f"images of {height} x {width} pixels are smaller than the crop {self.crop}")
            images = transforms.center_crop(images, list(self.crop))
        return images if self.size is None else transforms.resize(images, list(self.size), antialias=True)

    def apply_to_all(self, images: UInt8[Tensor, "N C H W"]) -> UInt8[Tensor, "N C h w"]:
        """As `apply`, in bounded memory."""
        return torch.cat([self.apply(chunk) for chunk in images.split(CHUNK)])


def decode_all(paths: Sequence[Path], shape: Shape) -> UInt8[Tensor, "N C H W"]:
    """The images of these files, in their order, decoded by as many threads as there are cores.

    Raises ValueError for a file that is no whole image, and for images that come out in different sizes.
    """
    with ThreadPoolExecutor() as pool:
        images = pool.map(lambda path: decode(path, shape), paths)
        for n, image in enumerate(images):
            if n == 0:
                out = torch.empty(len(paths), *image.shape, dtype=torch.uint8)
            elif image.shape != out.shape[1:]:
                pool.shutdown(wait=False, cancel_futures=True)
                sizes = f"{paths[n]} has {_pixels(image)} pixels, but {paths[0].name} {_pixels(out)}"
                raise ValueError(f"{sizes}: give a size to resize all to")
            out[n] = image
    return out


def decode(path: Path, shape: Shape) -> UInt8[Tensor, "C H W"]:
    """One image file, the right way up; transparency is ignored. ValueError if it is no whole image of 8 bits."""
    try:
        with Image.open(path) as image:
            deep = image.mode.startswith(("I", "F"))
            upright = ImageOps.exif_transpose(image).convert("L" if shape.channels == 1 else "RGB")
    except Exception as error:  # decoders raise all kinds, by what the bytes happen to look like
        reason = "not an image" if isinstance(error, UnidentifiedImageError) else error
        raise ValueError(f"cannot read {path} ({reason}): remove it, or get it again") from error
    if deep:
        raise ValueError(f"{path} has more than 8 bits a channel: convert it to 8 bits")
    try:
        return shape.apply(transforms.pil_to_tensor(upright))
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error


def _pixels(image: Tensor) -> str:
    return f"{image.shape[-2]} x {image.shape[-1]}"
