"""MNIST: its four idx files -> batches of images (B, 1, 28, 28) and labels."""

from __future__ import annotations

import gzip
import zlib
from math import prod
from pathlib import Path

import torch
from jaxtyping import UInt8
from torch import Tensor
from torchvision import datasets

from vae_lightning.construction.arguments import check_kinds
from vae_lightning.construction.hyperparameters import only_plain
from vae_lightning.data.download import RemoteFile
from vae_lightning.data.images.base import ImageDataModule, Labelled, fetch_checked
from vae_lightning.data.images.binarise import Binarisation
from vae_lightning.data.images.decode import Shape, sides
from vae_lightning.data.protocols import SplitName
from vae_lightning.data.reading import Readable, check_file

MD5 = dict(datasets.MNIST.resources)
SITE = datasets.MNIST.mirrors[0]
IMAGES, LABELS = "{}-images-idx3-ubyte.gz", "{}-labels-idx1-ubyte.gz"
LARGEST = 1 << 30  # bytes of a file's entries; 697,932 letters and digits of EMNIST have 547 million
_UNSIGNED_BYTES = 8  # how idx files name their type
_PART = 1 << 22  # bytes read at once
_WAY_OUT = "give the file as its authors have it, whole"


class MNIST(ImageDataModule):
    """60,000 handwritten digits for training and validation and 10,000 for the test; x (B, 1, 28, 28) in [0, 1].

    Reads `train-images-idx3-ubyte.gz`, `train-labels-idx1-ubyte.gz` and the two of `t10k`, packed or not, also as
    `train-images.idx3-ubyte`, from `path` or, as torchvision keeps them, from `raw` or `MNIST/raw` in it; so also
    Fashion-MNIST, KMNIST and others of this format. Without a path they are looked for in $VAE_LIGHTNING_DATA/MNIST or
    ~/.cache/vae-lightning/MNIST, and downloaded there, as torchvision does. Ids are rows of the training file, then of
    the test file. Source: Y. LeCun, C. Cortes and C. Burges, The MNIST database of handwritten digits.

    Args:
        path: the folder of the files.
        size: to resize to (bilinear, antialiased): a side, or (height, width).
        binarisation: None for intensities; else `vae_lightning.data.StaticBinarisation` (drawn once),
            `DynamicBinarisation` (drawn anew every training epoch) or `ThresholdBinarisation`.
        val_size: a share of the training file, or how many, for validation, the labels in proportion.
        split_seed: of that choice, and of the order of every split.
        batch_size: observations in a training batch, for each process of the trainer.
        eval_batch_size: observations in a validation, test or prediction batch.
        download: whether to download what is missing, if no path is given.
        predict_split: which split `predict` reads.

    ValueError for files that are missing or damaged, and sizes that leave nothing for training.
    """

    name = "MNIST"

    def __init__(
        self,
        path: str | Path | None = None,
        *,
        size: int | tuple[int, int] | None = None,
        binarisation: Binarisation | None = None,
        val_size: int | float = 10_000,
        split_seed: int = 0,
        batch_size: int = 128,
        eval_batch_size: int = 512,
        download: bool = True,
        predict_split: SplitName = "test",
    ) -> None:
        check_kinds(MNIST, locals())
        shape, path = Shape(sides("size", size)), None if path is None else str(path)
        sizes = {"val_size": val_size}
        super().__init__(path, shape, binarisation, sizes, split_seed, batch_size, eval_batch_size, predict_split)
        with only_plain(self):
            self.save_hyperparameters(logger=False)
        self.download = download

    def prepare_data(self) -> None:
        """Download what is missing, on one process."""
        for name in MD5:
            self._find(name)

    def read(self) -> tuple[Labelled, Labelled | None]:
        """Read both files."""
        return self._part("train"), self._part("t10k")

    def _part(self, part: str) -> Labelled:
        images, labels = self._find(IMAGES.format(part)), self._find(LABELS.format(part))
        x, y = read_idx(images, 3), read_idx(labels, 1)
        if len(x) != len(y) or not len(x):
            raise ValueError(
                f"{images} has {len(x)} images, but {labels.name} {len(y)} labels: give the two files of one data set"
            )
        return Labelled(self.shape.apply_to_all(x[:, None]), y.long())

    def _find(self, name: str) -> Path:
        folder = self.folder
        for place in (folder, folder / "raw", folder / "MNIST" / "raw"):
            for file in (place / written for written in spellings(name)):
                if file.is_file():
                    return file
        if self.path is None and self.download:
            return fetch_checked(RemoteFile(name, SITE + name), folder, MD5[name])
        raise ValueError(
            f"there is no {name} in {folder}: get it from {SITE + name} by hand, or leave path out and set download"
        )


def spellings(name: str) -> list[str]:
    """What a file is called: unpacked or not, and as others that hand it on write it, `train-images.idx3-ubyte`."""
    plain = name.removesuffix(".gz")
    dotted = plain.replace("-idx", ".idx")
    return [plain, name, dotted, f"{dotted}.gz"]


def read_idx(path: Path, num_axes: int) -> UInt8[Tensor, "..."]:
    """The bytes of an idx file, packed or not; ValueError unless it is whole, of so many axes and <= 2^30 bytes."""
    check_file(path, LARGEST)
    try:
        with gzip.GzipFile(path) if path.suffix == ".gz" else path.open("rb") as file:
            return _entries(file, path, num_axes)
    except (OSError, EOFError, zlib.error) as error:
        raise ValueError(f"cannot read {path} ({error}): it is not whole, or not packed by gzip; {_WAY_OUT}") from error


def _entries(file: Readable, path: Path, num_axes: int) -> UInt8[Tensor, "..."]:
    """What follows the header, which is believed only as far as the file goes."""
    header = file.read(4 + 4 * num_axes)
    if len(header) < 4 + 4 * num_axes or header[:4] != bytes([0, 0, _UNSIGNED_BYTES, num_axes]):
        raise ValueError(f"{path} is not an idx file of bytes with {num_axes} axes: {_WAY_OUT}")
    shape = [int.from_bytes(header[start : start + 4]) for start in range(4, len(header), 4)]
    if (expected := prod(shape)) > LARGEST:
        raise ValueError(f"{path} announces {expected:,} bytes, and at most {LARGEST:,} are read: {_WAY_OUT}")
    content = bytearray()
    while part := file.read(min(_PART, expected + 1 - len(content))):
        content += part
    if len(content) != expected:
        found = f"more than {expected}" if len(content) > expected else f"{len(content)} of {expected}"
        raise ValueError(f"{path} has {found} bytes: {_WAY_OUT}")
    return (
        torch.frombuffer(content, dtype=torch.uint8).view(*shape) if content else torch.empty(shape, dtype=torch.uint8)
    )
