"""Pictures: decoded images -> one grid as .png, or a folder with a .png of each."""

from __future__ import annotations

import abc
import math
import secrets
import shutil
from collections import defaultdict
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path, PurePath
from typing import BinaryIO

import torch
from jaxtyping import Float
from torch import Tensor
from torchvision.datasets.folder import IMG_EXTENSIONS
from torchvision.transforms.v2 import functional as transforms
from torchvision.utils import make_grid

from vae_lightning.answers import Answer
from vae_lightning.commands.outputs.base import Output
from vae_lightning.data.preparation import Prepared

MOST = 4096  # pictures of a grid
PAIRS = 8  # a row of a grid, or more
TILE = 48  # pixels of a small picture's side in a grid, at most


class Layout(abc.ABC):
    """How the pictures of a grid are ordered."""

    @abc.abstractmethod
    def __call__(self, images: Float[Tensor, "n C H W"]) -> tuple[Float[Tensor, "m C H W"], int]:
        """The pictures, and how many are in a row."""


@dataclass(frozen=True)
class Plain(Layout):
    """So many in a row; by default as many as there are rows."""

    row: int | None = None

    def __call__(self, images: Float[Tensor, "n C H W"]) -> tuple[Float[Tensor, "n C H W"], int]:
        """All of them, in their order."""
        return images, self.row or math.ceil(math.sqrt(len(images)))


@dataclass(frozen=True)
class Pairs(Layout):
    """A row of originals, and below it a row of what is made of them."""

    originals: Prepared

    def __call__(self, images: Float[Tensor, "n C H W"]) -> tuple[Float[Tensor, "m C H W"], int]:
        """Row by row."""
        x = (self.originals.original or self.originals.observations).x
        assert isinstance(x, Tensor), "pictures are dense"
        row = min(len(x), max(PAIRS, math.ceil(math.sqrt(2 * len(x)))))
        pairs = zip(x.split(row), images.split(row), strict=True)
        return torch.cat([_filled(each, row) for pair in pairs for each in pair]), row


class Grid(Output):
    """One picture of all."""

    def __init__(self, file: BinaryIO, layout: Layout) -> None:
        super().__init__(file)
        self.layout, self.parts = layout, list[Tensor]()

    def write(self, part: Answer) -> None:
        """Keep them: a grid is one picture."""
        self.parts.append(_images(part))

    def finish(self) -> None:
        """Draw the grid."""
        images, row = self.layout(torch.cat(self.parts))
        times = max(1, TILE // max(images.shape[-2:]))
        larger = images.repeat_interleave(times, -1).repeat_interleave(times, -2)
        self.file.write(_png(make_grid(larger, nrow=row, padding=2, pad_value=0.5)))


class Folder:
    """A folder with a .png of each row, by its name; those that are there under other names stay."""

    def __init__(self, target: Path) -> None:
        self.target = target
        beside = target if target.is_dir() else target.parent  # `.` has no name, and its parent may be another's
        self.place = beside / f".{target.name}.{secrets.token_hex(8)}.part"
        self.place.mkdir(parents=True)
        self._numbers: defaultdict[Path, int] = defaultdict(lambda: 2)  # that the next row of a name is tried with

    def write(self, part: Answer) -> None:
        """The next pictures."""
        for name, image in zip(part.names, _images(part), strict=True):
            path = self._path(name)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(_png(image))

    def finish(self) -> None:
        """Move them into the folder."""
        for path in sorted(each for each in self.place.rglob("*.png") if each.is_file()):
            goal = self.target / path.relative_to(self.place)
            goal.parent.mkdir(parents=True, exist_ok=True)
            path.replace(goal)

    def remove(self) -> None:
        """What was not moved."""
        shutil.rmtree(self.place, ignore_errors=True)

    def _path(self, name: str) -> Path:
        """Below the folder, whatever the name; two names that differ in their ending alone keep it.

        Of several rows of one name, each but the first has a number, and so has a folder called as a picture before it.
        """
        *folders, last = [part for part in PurePath(name).parts if part not in ("/", "..")] or ["picture"]
        path = self.place
        for folder in folders:
            path = path / (f"{folder}-2" if (path / folder).is_file() else folder)
        path = path / last
        shorter = (
            path.with_suffix(".png") if path.suffix.lower() in IMG_EXTENSIONS else path.with_name(f"{path.name}.png")
        )
        for each in (shorter, path.with_name(f"{path.name}.png")):
            if not each.exists():
                return each
        while (each := path.with_name(f"{path.name}-{self._numbers[path]}.png")).exists():
            self._numbers[path] += 1
        return each


def _images(part: Answer) -> Float[Tensor, "n C H W"]:
    return torch.from_numpy(part.arrays["x"])


def _filled(images: Float[Tensor, "n C H W"], count: int) -> Float[Tensor, "m C H W"]:
    """With white ones behind them."""
    return torch.cat([images, images.new_ones(count - len(images), *images.shape[1:])])


def _png(image: Float[Tensor, "C H W"]) -> bytes:
    out = BytesIO()
    transforms.to_pil_image(image.clamp(0, 1).float()).save(out, "png")
    return out.getvalue()
