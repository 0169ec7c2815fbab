"""Decode: image files -> one tensor of bytes, all cut and resized alike."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from itertools import chain
from threading import Lock

import numpy as np
import torch
from jaxtyping import UInt8
from PIL import Image, ImageOps, UnidentifiedImageError
from PIL.TiffImagePlugin import BITSPERSAMPLE, PHOTOMETRIC_INTERPRETATION, TiffImageFile
from rich.console import Console
from rich.progress import MofNCompleteColumn, Progress
from torch import Size, Tensor
from torchvision.datasets.folder import IMG_EXTENSIONS
from torchvision.transforms.v2 import functional as transforms

from vae_lightning.data.images.files import ImageFile
from vae_lightning.data.reading import check_memory

CHUNK = 4096  # images resized at once
AHEAD = 256  # images that are decoded before the first of them is taken
TOGETHER = 16  # images that a thread decodes before it resizes them
SMALL = 1 << 18  # pixels above which it resizes each of them at once
LARGEST = 1 << 26  # pixels of a file, 67 million, which take up to 1 GB while they are decoded
LARGE = 1 << 24  # pixels above which one file is decoded at a time
FORMATS = ("JPEG", "PNG", "BMP", "GIF", "PPM", "TIFF", "WEBP")  # whatever a file is called; of EPS, a program is run
_ONE_AT_A_TIME = Lock()


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

    def cut(self, images: UInt8[Tensor, "*B C H W"]) -> UInt8[Tensor, "*B C h w"]:
        """The central part; ValueError for images smaller than the crop."""
        height, width = images.shape[-2:]
        if self.crop is None:
            return images
        if self.crop[0] > height or self.crop[1] > width:
            raise ValueError(f"images of {height} x {width} pixels are smaller than the crop {self.crop}")
        return transforms.center_crop(images, list(self.crop))

    def resize(self, images: UInt8[Tensor, "*B C H W"]) -> UInt8[Tensor, "*B C h w"]:
        """What is cut, resized."""
        return images if self.size is None else transforms.resize(images, list(self.size), antialias=True)

    def apply(self, images: UInt8[Tensor, "*B C H W"]) -> UInt8[Tensor, "*B C h w"]:
        """Cut and resize; ValueError for images smaller than the crop."""
        return self.resize(self.cut(images))

    def apply_to_all(self, images: UInt8[Tensor, "N C H W"]) -> UInt8[Tensor, "N C h w"]:
        """Apply the function to all rows, as `apply` does, in bounded memory."""
        return torch.cat([self.apply(chunk) for chunk in images.split(CHUNK)])


@dataclass(frozen=True)
class Square(Shape):
    """As `Shape`, but that images are cut to their largest central square where no other crop is given."""

    def cut(self, images: UInt8[Tensor, "*B C H W"]) -> UInt8[Tensor, "*B C h w"]:
        """The central part; ValueError for images smaller than the crop."""
        side = min(images.shape[-2:])
        return Shape(self.size, self.crop or (side, side), self.channels).cut(images)


def decoded(
    paths: Sequence[ImageFile],
    shape: Shape,
    damaged: dict[int, str] | None = None,
    done: int = 0,
    like: Size | None = None,
) -> Iterator[UInt8[Tensor, "C H W"]]:
    """The images of these files, in their order, decoded by as many threads as there are cores; with a progress bar.

    To go on, the first `done` files are passed over, of which images `like` these came.

    Raises ValueError for a file that is no whole image of at most 67 million pixels, of 8 or 16 bits, and for images
    that come out in different sizes. With `damaged`, what is wrong with such a file is said there under its number, and
    it is left out; ValueError if that is all of them.
    """
    columns = (*Progress.get_default_columns(), MofNCompleteColumn())
    with ThreadPoolExecutor() as pool, Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("reading images", total=len(paths), completed=done)
        for start in range(done, len(paths), AHEAD):
            part = paths[start : start + AHEAD]
            groups = [part[at : at + TOGETHER] for at in range(0, len(part), TOGETHER)]
            found = chain.from_iterable(pool.map(partial(_attempts, shape=shape), groups))
            for number, (path, image) in enumerate(zip(part, found, strict=True), start):
                if isinstance(image, ValueError):
                    if damaged is None:
                        raise image
                    damaged[number] = str(image)
                    continue
                like = like or image.shape
                if image.shape != like:
                    sizes = f"{path} has {_pixels(image.shape)} pixels, but {paths[0].name} {_pixels(like)}"
                    raise ValueError(f"{sizes}: give a size to resize all to")
                yield image
            progress.advance(task, len(part))
    if like is None and damaged:
        raise ValueError(f"none of {len(paths):,} images can be read: {damaged[0]}")


def decode_all(
    paths: Sequence[ImageFile], shape: Shape, damaged: dict[int, str] | None = None
) -> UInt8[Tensor, "N C H W"]:
    """The images in memory; ValueError also for more of them than the machine can hold."""
    for number, image in enumerate(decoded(paths, shape, damaged)):
        if number == 0:
            many = f"{len(paths):,} images of {_pixels(image.shape)} pixels"
            check_memory(len(paths) * image.numel(), many, "give a smaller size to resize them to")
            out = torch.empty(len(paths), *image.shape, dtype=torch.uint8)
        out[number] = image
    return out[: len(paths) - len(damaged or ())]


def _attempts(paths: Sequence[ImageFile], shape: Shape) -> Sequence[UInt8[Tensor, "C H W"] | ValueError]:
    """What becomes of each file; images of one size, as faces are, are resized at once, to the same bytes."""
    found = [_attempt(path, shape) for path in paths]
    images = [image for image in found if isinstance(image, Tensor)]
    if len({image.shape for image in images}) != 1:
        return [image if isinstance(image, ValueError) else shape.resize(image) for image in found]
    pixels = torch.stack([image.permute(1, 2, 0) for image in images])  # as they lie in memory
    resized = iter(shape.resize(pixels.permute(0, 3, 1, 2)))
    return [image if isinstance(image, ValueError) else next(resized) for image in found]


def _attempt(path: ImageFile, shape: Shape) -> UInt8[Tensor, "C H W"] | ValueError:
    try:
        return decode(path, shape)
    except ValueError as error:
        return error


def decode(path: ImageFile, shape: Shape) -> UInt8[Tensor, "C H W"]:
    """One image file, the right way up and cut, and resized if it is large; transparency is ignored.

    Of 16 bits the high 8 are kept, as viewers do: 65,535 is white, whatever the brightest value is. Numbers up to 4,095
    that a camera of 12 bits wrote as if they had 16 are nearly black in a viewer, and so they are here.

    ValueError if it is no whole image of 8 or 16 bits, or smaller than the crop.
    """
    try:
        with path.open("rb") as file, Image.open(file, formats=FORMATS) as image:
            check_image(image)
            pixels = image.width * image.height
            with _ONE_AT_A_TIME if pixels > LARGE else nullcontext():
                found = shape.cut(_upright(image, "L" if shape.channels == 1 else "RGB"))
                return found if pixels <= SMALL else shape.resize(found)
    except UnidentifiedImageError as error:
        raise ValueError(f"{path} is not an image: expected one of {', '.join(IMG_EXTENSIONS)}") from error
    except (ValueError, Image.DecompressionBombError) as error:
        raise ValueError(f"{path}: {error}") from error
    except Exception as error:  # decoders raise all kinds, by what the bytes happen to look like
        raise ValueError(
            f"{path} is not a whole image ({error}): give the whole file, or take it out of the folder"
        ) from error


def check_image(image: Image.Image) -> None:
    """ValueError, before any of its pixels is read, for an image of too many, or of numbers without a known white."""
    if image.width * image.height > LARGEST:
        size = f"{image.height:,} x {image.width:,}"
        raise ValueError(f"the image has {size} pixels, and at most {LARGEST:,} are read: make it smaller")
    if image.mode == "F" or (image.mode == "I" and image.format != "PPM"):
        kind = "floats" if image.mode == "F" else "integers with a sign, or of 32 bits"
        raise ValueError(f"its pixels are {kind}, of which none is known as white: convert it to 8 bits (white is 255)")


def _upright(image: Image.Image, mode: str) -> UInt8[Tensor, "C H W"]:
    """The image in this mode, turned as a viewer turns it; a palette's colours lose their transparency, as all do."""
    ImageOps.exif_transpose(image, in_place=True)
    if image.mode.startswith("I"):
        image = _of_8_bits(image)
    if image.mode in ("P", "PA"):
        image = image.convert("RGBA")
    pixels = np.array(image if image.mode == mode else image.convert(mode))
    return torch.from_numpy(pixels.reshape(*pixels.shape[:2], -1)).permute(2, 0, 1)


def _of_8_bits(image: Image.Image) -> Image.Image:
    """The high bits of a grey image of 16, or of a TIFF's 12, where Pillow's own `convert` clips at 255."""
    bits, black = (16,), 1
    if isinstance(image, TiffImageFile):
        bits, black = image.tag_v2[BITSPERSAMPLE], image.tag_v2.get(PHOTOMETRIC_INTERPRETATION, 0)
    high = (np.asarray(image) >> (bits[0] - 8)).astype(np.uint8)
    return Image.fromarray(high if black else 255 - high)  # a TIFF may count from white, which is then 0


def _pixels(image: Size) -> str:
    return f"{image[-2]} x {image[-1]}"
