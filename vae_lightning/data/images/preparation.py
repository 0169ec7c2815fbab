"""ImagePreparation: other pictures -> cut, resized and binarised as the training pictures were."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vae_lightning.construction.arguments import check_kinds
from vae_lightning.data.arrays.rows import ARRAYS, array_of
from vae_lightning.data.images.binarise import Binarisation
from vae_lightning.data.images.cache import cached_images
from vae_lightning.data.images.decode import Shape, decode_all
from vae_lightning.data.images.files import image_files, packed_images
from vae_lightning.data.images.pixels import Pixels
from vae_lightning.data.mapped import Mapped
from vae_lightning.data.preparation import Preparation, Prepared, prepared
from vae_lightning.data.reading import check_file, user_path

WHITE = 255
LARGEST_FILE = 1 << 30  # bytes, of which the largest picture that is read has half
FAR = 8.0  # beyond the limits: further than samples of a normal likelihood lie, and nearer than 16, 255 or 65,535


class ImagePreparation(Preparation):
    """Pictures as `data.ImageFolder` reads them: a folder or zip, a file, a list of files, or an array (N, C, H, W).

    An array, also one in a .npy or .npz, of bytes has 255 for white; one of floats is x itself, in [0, 1].

    Args:
        shape: (C, H, W) of an x.
        crop: (height, width) of the central part that is kept of a file, before resizing.
        binarisation: how pixels become zeros and ones, if they do.

    Examples:
        >>> import numpy as np
        >>> from vae_lightning.data.images.preparation import ImagePreparation
        >>> found = ImagePreparation([1, 8, 8]).read(np.full((2, 1, 8, 8), 255, np.uint8))
        >>> found.observations.x.shape, found.observations.x.max()
        (torch.Size([2, 1, 8, 8]), tensor(1.))
    """

    def __init__(
        self, shape: Sequence[int], crop: Sequence[int] | None = None, binarisation: Binarisation | None = None
    ) -> None:
        check_kinds(ImagePreparation, locals())
        channels, height, width = shape
        self.shape = Shape((height, width), None if crop is None else (crop[0], crop[1]), channels)
        self.binarisation, self.limits = binarisation, Pixels.limits

    def read(self, data: Any) -> Prepared:
        """ValueError for a file that is no image, for arrays of another shape, and for no pictures at all."""
        if isinstance(data, str | Path):
            return self._place(user_path(data))
        if isinstance(data, list) and all(isinstance(path, str | Path) for path in data):
            return self._files([user_path(path) for path in data])
        return self._arrays(data)

    def _arrays(self, data: Any) -> Prepared:
        x = data.detach().cpu() if isinstance(data, Tensor) else _tensor(np.asarray(data))
        expected = (self.shape.channels, *(self.shape.size or ()))
        if tuple(x.shape[1:]) != expected:
            raise ValueError(f"the model takes pictures of shape {expected}, got {tuple(x.shape)}: (N, C, H, W)")
        if x.dtype == torch.uint8:
            return self._bytes(x, None)
        low, high = self.limits
        if (x < low - FAR).any() or (x > high + FAR).any():
            raise ValueError(
                f"pictures that are no bytes have numbers from {low:g} to {high:g}, got some up to {x.abs().max():g}: "
                "give bytes (uint8), of which 255 is white"
            )
        return prepared(x.float())

    def _place(self, path: Path) -> Prepared:
        if path.is_dir():
            paths = image_files(path)
            names = [each.relative_to(path).as_posix() for each in paths]
            return self._bytes(cached_images(path, paths, self.shape), names)
        if path.suffix.lower() == ".zip":
            packed = packed_images(path)
            return self._bytes(cached_images(path, packed, self.shape), [each.member.filename for each in packed])
        return self._arrays(array_of(path)) if path.suffix.lower() in ARRAYS else self._files([path])

    def _files(self, paths: Sequence[Path]) -> Prepared:
        if not paths:
            raise ValueError("there are no pictures in the list")
        for path in paths:
            check_file(path, LARGEST_FILE)
        return self._bytes(decode_all(paths, self.shape), [str(path) for path in paths])

    def _bytes(self, images: Tensor | Mapped, names: Sequence[str] | None) -> Prepared:
        found = prepared(images, names)
        return replace(found, observations=replace(found.observations, view=Pixels(WHITE, self.binarisation)))


def _tensor(x: NDArray[Any]) -> Tensor:
    """Numbers of any kind, order and direction of axes; ValueError for what is none."""
    if x.dtype.kind not in "biuf":
        raise ValueError(f"expected files of pictures or numbers (N, C, H, W), got an array of {x.dtype}")
    return torch.from_numpy(np.ascontiguousarray(x, np.uint8 if x.dtype == np.uint8 else np.float32))
