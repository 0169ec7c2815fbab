"""CelebA: faces and their attributes -> batches of images (B, 3, H, W) in [-1, 1] and labels."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from jaxtyping import Shaped
from lightning.pytorch.utilities import rank_zero_warn
from torch import Tensor

from vae_lightning.construction.arguments import check_kinds
from vae_lightning.construction.hyperparameters import only_plain
from vae_lightning.data.images.base import ImageDataModule, Labelled
from vae_lightning.data.images.cache import cached_images
from vae_lightning.data.images.celeba import layout
from vae_lightning.data.images.celeba.annotations import annotation, attributes_of, splits_of
from vae_lightning.data.images.celeba.layout import Faces
from vae_lightning.data.images.celeba.preparation import FacePreparation
from vae_lightning.data.images.celeba.splits import face_rows
from vae_lightning.data.images.decode import Square, sides
from vae_lightning.data.images.pixels import SignedPixels
from vae_lightning.data.loaders import Observations
from vae_lightning.data.protocols import Predicted

_SHOWN = 3


class CelebA(ImageDataModule):
    """202,599 aligned faces with 40 attributes, or others like them, decoded once; x (B, 3, H, W) in [-1, 1].

    Reads what torchvision's download leaves: `img_align_celeba/` or `img_align_celeba.zip`, which is not unpacked, from
    `path` or from `celeba` in it. Any other folder or zip file of faces will do; of several zip files in a folder, the
    largest is read. Lists are looked for beside the faces, as .txt or .csv, packed by gzip or not:

    - `list_eval_partition*`: the official splits. A face that it has for validation or test is there, and never in
      training. Where it has none for one of them, or there is no list, that one is cut from the others by seed.
    - `list_attr_celeba*`: labels y are the attributes, (B, 40) of 0 and 1 as uint8, and `attribute_names` says which;
      of one attribute, named as a text, y is (B,). Without a list y is (B,), all 0.

    Ids count the faces by path: `names[i]` is the one of id i. Faces are kept decoded in $XDG_CACHE_HOME/vae-lightning
    or ~/.cache/vae-lightning, from where batches are read: 200,000 of them take no memory. Decoding that was stopped
    goes on where it was. Without a path they are looked for in $VAE_LIGHTNING_DATA/celeba or
    ~/.cache/vae-lightning/celeba, and downloaded there, for research that is not commercial. Source: Z. Liu, P. Luo, X.
    Wang and X. Tang, Deep learning face attributes in the wild (2015).

    Args:
        path: a folder, or a zip file.
        size: to resize to (bilinear, antialiased): a side, or (height, width).
        crop: the central part to keep before resizing: a side, or (height, width), in pixels of the file; None for the
            largest square, which of the official faces is 178, as in the DCGAN tutorial.
        flip: whether training sees half of the images in a mirror, others in every epoch.
        attributes: which of them y has: a list of names, or one name; None for all, [] for none.
        val_size: a share, or how many, for validation, where the list does not say.
        test_size: a share, or how many, for the test, where the list does not say.
        split_seed: of these choices, and of the order of every split.
        skip_damaged: whether to leave out files that cannot be read, and to say how many.
        batch_size: observations in a training batch, for each process of the trainer.
        eval_batch_size: observations in a validation, test or prediction batch.
        download: whether to download what is missing, if no path is given.
        predict_split: which split `predict` reads; `all` for every face, by path.

    ValueError for files that are missing or damaged, lists that do not fit the faces, and sizes that leave nothing for
    training.
    """

    name = "celeba"

    def __init__(
        self,
        path: str | Path | None = None,
        *,
        size: int | tuple[int, int] = 64,
        crop: int | tuple[int, int] | None = None,
        flip: bool = False,
        attributes: str | Sequence[str] | None = None,
        val_size: int | float = 0.1,
        test_size: int | float = 0.1,
        split_seed: int = 0,
        skip_damaged: bool = False,
        batch_size: int = 128,
        eval_batch_size: int = 256,
        download: bool = True,
        predict_split: Predicted = "test",
    ) -> None:
        check_kinds(CelebA, locals())
        shape, path = Square(sides("size", size), sides("crop", crop), 3), None if path is None else str(path)
        sizes = {"test_size": test_size, "val_size": val_size}
        super().__init__(path, shape, None, sizes, split_seed, batch_size, eval_batch_size, predict_split)
        with only_plain(self):
            self.save_hyperparameters(logger=False)
        self.flip, self.attributes, self.skip_damaged, self.download = flip, attributes, skip_damaged, download
        self.faces = Faces(self.folder, [], [], [])
        self.attribute_names: list[str] = []

    @property
    def names(self) -> Sequence[str]:
        """The faces by their paths, in the order of ids."""
        return self.faces.names

    @property
    def view(self) -> SignedPixels:
        """Bytes as [-1, 1]."""
        return SignedPixels(self.flip)

    @property
    def preparation(self) -> FacePreparation | None:
        """How other pictures become x."""
        shape = self.observed_shape
        return None if shape is None else FacePreparation(list(shape), self.shape.crop)

    def prepare_data(self) -> None:
        """Download what is missing, on one process."""
        self._root()

    def whole(self) -> Observations:
        """Every face."""
        return self._observations(self.read()[0], 0)

    def load(self) -> tuple[Observations, Observations, Observations]:
        """The three splits."""
        whole = self.whole()
        found = annotation(self.faces.places, layout.SPLITS)
        unknown = torch.full((len(whole),), -1)
        official = unknown if found is None else splits_of(found, self._file_names())
        train, val, test = face_rows(official, self.sizes, self.split_seed)
        return whole.select(train), whole.select(val), whole.select(test)

    def read(self) -> tuple[Labelled, None]:
        """Decode every face, and read its attributes."""
        faces, damaged = layout.faces_of(self._root()), dict[int, str]()
        images = cached_images(faces.root, faces.files, self.shape, damaged)
        if damaged:
            self._tell(damaged, len(faces.files))
        self.faces = faces.once_read(damaged)
        return Labelled(images, self._labels()), None

    def _labels(self) -> Shaped[Tensor, "N *L"]:
        found = annotation(self.faces.places, layout.ATTRIBUTES)
        one = isinstance(self.attributes, str)
        chosen = [self.attributes] if isinstance(self.attributes, str) else self.attributes
        self.attribute_names = []
        if found is None and chosen:
            raise ValueError(f"there is no {layout.ATTRIBUTES}.txt beside {self.faces.root}, which has the attributes")
        if found is None or (chosen is not None and not chosen):
            return torch.zeros(len(self.faces.names), dtype=torch.int64)
        self.attribute_names, labels = attributes_of(found, self._file_names(), chosen)
        return labels[:, 0].long() if one else labels

    def _file_names(self) -> list[str]:
        return [name.rpartition("/")[2] for name in self.faces.names]

    def _tell(self, damaged: dict[int, str], num: int) -> None:
        """ValueError, or a warning where they may be left out."""
        first = [damaged[row] for row in sorted(damaged)[:_SHOWN]]
        told = f"{len(damaged):,} of {num:,} faces cannot be read: {'; '.join(first)}"
        told += "; ..." if len(damaged) > len(first) else ""
        if not self.skip_damaged:
            raise ValueError(f"{told}: give the whole files, or set data.skip_damaged to true to leave these out")
        rank_zero_warn(f"{told}: they are left out")

    def _root(self) -> Path:
        """The folder or zip file of the faces, downloaded if it may be; ValueError if there is none."""
        folder = self.folder
        if (found := layout.find(folder)) is None and self.path is None and self.download:
            layout.download(folder)
            found = layout.find(folder)
        if found is None:
            raise ValueError(
                f"there are no faces in {folder}: get {layout.FACES}.zip from {layout.PAGE} by hand and give its path, "
                "or leave path out and set download"
            )
        return found
