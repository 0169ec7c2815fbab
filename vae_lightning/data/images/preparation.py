"""ImagePreparation: other pictures -> cut, resized and binarised as the training pictures were."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from vae_lightning.construction.arguments import check_kinds
from vae_lightning.data.arrays.rows import ARRAYS, array_of
from vae_lightning.data.images.binarise import Binarisation
from vae_lightning.data.images.cache import cached_images
from vae_lightning.data.images.decode import Shape, decode_all
from vae_lightning.data.images.files import image_files, packed_images
from vae_lightning.data.images.pixels import Pixels
from vae_lightning.data.loaders import Observations
from vae_lightning.data.mapped import Mapped
from vae_lightning.data.preparation import Preparation, Prepared, prepared
from vae_lightning.data.reading import user_path

WHITE = 255


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
        self.binarisation = binarisation

    def read(self, data: Any) -> Prepared:
        """ValueError for a file that is no image, and for arrays of another shape."""
        if isinstance(data, str | Path) or (isinstance(data, list) and all(isinstance(p, str | Path) for p in data)):
            return self._files(data)
        return self._arrays(data)

    def _arrays(self, data: Any) -> Prepared:
        x = data if isinstance(data, Tensor) else torch.from_numpy(np.asarray(data))
        expected = (self.shape.channels, *(self.shape.size or ()))
        if tuple(x.shape[1:]) != expected:
            raise ValueError(f"the model takes pictures of shape {expected}, got {tuple(x.shape)}: (N, C, H, W)")
        return self._bytes(x, None) if x.dtype == torch.uint8 else prepared(x.float())

    def _files(self, data: str | Path | Sequence[str | Path]) -> Prepared:
        if isinstance(data, str | Path) and (file := user_path(data)).suffix.lower() in ARRAYS:
            return self._arrays(array_of(file))
        if isinstance(data, str | Path) and (folder := user_path(data)).is_dir():
            paths = image_files(folder)
            names = [path.relative_to(folder).as_posix() for path in paths]
            return self._bytes(cached_images(folder, paths, self.shape), names)
        if isinstance(data, str | Path) and (archive := user_path(data)).suffix.lower() == ".zip":
            packed = packed_images(archive)
            return self._bytes(cached_images(archive, packed, self.shape), [each.member.filename for each in packed])
        paths = [user_path(each) for each in ([data] if isinstance(data, str | Path) else data)]
        return self._bytes(decode_all(paths, self.shape), [str(path) for path in paths])

    def _bytes(self, images: Tensor | Mapped, names: Sequence[str] | None) -> Prepared:
        found = prepared(images, names)
        told, ids = found.names, found.observations.ids
        return Prepared(told, Observations(images, found.observations.y, ids, Pixels(WHITE, self.binarisation)))
