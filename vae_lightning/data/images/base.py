"""Images: a source of bytes -> splits of images, float32 in [0, 1] or binarised, when a batch is made."""

from __future__ import annotations

import abc
import hashlib
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from jaxtyping import Shaped, UInt8
from lightning.pytorch import Trainer
from torch import Tensor

from vae_lightning.data.base import InMemoryDataModule
from vae_lightning.data.download import RemoteFile, by_hand, data_folder, fetch
from vae_lightning.data.images.binarise import Binarisation
from vae_lightning.data.images.decode import Shape
from vae_lightning.data.images.pixels import Pixels
from vae_lightning.data.images.preparation import ImagePreparation
from vae_lightning.data.loaders import Observations, View
from vae_lightning.data.mapped import Mapped
from vae_lightning.data.preparation import Preparation
from vae_lightning.data.protocols import Predicted
from vae_lightning.data.reading import user_path
from vae_lightning.data.splits import stratified_rows

WHITE = 255


@dataclass(frozen=True)
class Labelled:
    """Images as bytes (N, C, H, W), in memory or in a file, and their labels, (N,) or some of each, (N, L)."""

    images: UInt8[Tensor, "N C H W"] | Mapped
    labels: Shaped[Tensor, "N *L"]


class ImageDataModule(InMemoryDataModule, abc.ABC):
    """Images in memory, one byte for each channel and pixel; a batch is x (B, C, H, W) in [0, 1] and labels y (B,).

    `path` is the folder of the files, by default `name` in $VAE_LIGHTNING_DATA or ~/.cache/vae-lightning. `split_seed`
    shuffles every split, so that its first observations have the labels in proportion.
    """

    name: str

    def __init__(
        self,
        path: str | Path | None,
        shape: Shape,
        binarisation: Binarisation | None,
        sizes: dict[str, int | float],
        seed: int,
        batch_size: int,
        eval_batch_size: int,
        predict_split: Predicted,
    ) -> None:
        super().__init__(batch_size, eval_batch_size, predict_split)
        self.path, self.shape, self.binarisation = path, shape, binarisation
        self.sizes, self.split_seed = sizes, seed

    @property
    def folder(self) -> Path:
        """Where the files are looked for."""
        return user_path(self.path) if self.path is not None else data_folder() / self.name

    @property
    def observed_shape(self) -> tuple[int, ...] | None:
        """(C, H, W) of an observation; None where only the files, not yet read, can tell."""
        for split in self._splits.values():
            return tuple(split.stored.shape[1:])  # type: ignore[union-attr]
        return None if self.shape.size is None else (self.shape.channels, *self.shape.size)

    @property
    def view(self) -> View:
        """How bytes become x."""
        return Pixels(WHITE, self.binarisation)

    @property
    def preparation(self) -> Preparation | None:
        """How other pictures become x; None before it is known how large one is."""
        shape = self.observed_shape
        return None if shape is None else ImagePreparation(list(shape), self.shape.crop, self.binarisation)

    def placed(self, data: Observations) -> Observations:
        """Of the trainer's batches, bytes go to its device, which makes x of them: a quarter of what floats take."""
        trainer = self.trainer
        return replace(data, device=trainer.strategy.root_device) if isinstance(trainer, Trainer) else data

    @abc.abstractmethod
    def read(self) -> tuple[Labelled, Labelled | None]:
        """The images to train with, and those of the test if the source sets them apart."""

    def load(self) -> tuple[Observations, Observations, Observations]:
        """The three splits; ids are the images' numbers in their source, the test's after all others."""
        known, apart = self.read()
        parts = self._cut(self._observations(known, 0), self.sizes)
        if apart is not None:
            parts = [*self._cut(self._observations(apart, len(known.labels)), {}), *parts]
        test, val, train = parts
        return train, val, test

    def _cut(self, data: Observations, sizes: dict[str, int | float]) -> list[Observations]:
        """Parts of these sizes and the rest, shuffled: files lie by class."""
        return [data.select(rows) for rows in stratified_rows(data.y, sizes, self.split_seed)]

    def _observations(self, part: Labelled, first: int) -> Observations:
        ids = torch.arange(first, first + len(part.labels))
        return Observations(part.images, part.labels, ids, self.view)


def fetch_checked(file: RemoteFile, folder: Path, md5: str, most: int | None = None) -> Path:
    """Download a file of known md5 into a folder; ValueError with the manual way if it does not arrive as it should."""
    path = fetch(file, folder, most)
    with path.open("rb") as content:
        found = hashlib.file_digest(content, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
    if found != md5:
        path.unlink()
        raise ValueError(f"{file.url} has md5 {found}, expected {md5}: {by_hand(file, folder)}")
    return path
