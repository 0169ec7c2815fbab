"""ImageFolder: a folder of image files -> batches of images (B, C, H, W) and labels."""

from __future__ import annotations

from pathlib import Path

import torch

from vae_lightning.construction.arguments import check_kinds
from vae_lightning.construction.hyperparameters import only_plain
from vae_lightning.data.images.base import ImageDataModule, Labelled
from vae_lightning.data.images.binarise import Binarisation
from vae_lightning.data.images.cache import cached_images
from vae_lightning.data.images.decode import Shape, sides
from vae_lightning.data.images.files import image_files
from vae_lightning.data.loaders import Observations
from vae_lightning.data.protocols import Predicted


class ImageFolder(ImageDataModule):
    """Any folder of image files, decoded once and kept as bytes; x (B, channels, H, W) in [0, 1].

    The files (.jpg, .jpeg, .png, .ppm, .bmp, .pgm, .tif, .tiff, .webp) either lie in the folder itself, all of label
    0, or in one sub-folder for each label, at any depth below it; labels count the sub-folders by name. Ids count the
    files by path: `names[i]` is the one of id i. Validation and test are cut by seed, the labels in proportion. Links
    to files are read wherever they point; links to folders are not followed, and a warning names them.

    Pixels of 16 bits are read as viewers show them: the high 8 are kept, so that 65,535 is white. Convert 12-bit camera
    values in 16-bit files before, since they end at 4,095, nearly black; floats and 32-bit integers are refused.

    What is decoded lies in $XDG_CACHE_HOME/vae-lightning or ~/.cache/vae-lightning, where batches are read: 200,000
    images take no memory. Decoding that was interrupted goes on where it was. It is made anew when a file changes, and
    may be removed at any time.

    Args:
        path: the folder; by default $VAE_LIGHTNING_DATA/images or ~/.cache/vae-lightning/images.
        size: to resize to (bilinear, antialiased): a side, or (height, width); None if the files agree in size.
        crop: the central part to keep, in pixels of the file, before resizing: a side, or (height, width).
        channels: 3 for colour, 1 for grey.
        binarisation: None for intensities; else `vae_lightning.data.StaticBinarisation` (drawn once),
            `DynamicBinarisation` (drawn anew every training epoch) or `ThresholdBinarisation`.
        val_size: a share, or how many, for validation.
        test_size: a share, or how many, for the test, chosen before validation: it stays when `val_size` changes.
        split_seed: of both choices, and of the order of every split.
        batch_size: observations in a training batch, for each process of the trainer.
        eval_batch_size: observations in a validation, test or prediction batch.
        predict_split: which split `predict` reads; `all` for every file, by path, without cutting any splits.

    ValueError if there are no images, a file is damaged, they differ in size and none is given, one is smaller than
    the crop, or the splits leave nothing for training.
    """

    name = "images"

    def __init__(
        self,
        path: str | Path | None = None,
        *,
        size: int | tuple[int, int] | None = None,
        crop: int | tuple[int, int] | None = None,
        channels: int = 3,
        binarisation: Binarisation | None = None,
        val_size: int | float = 0.1,
        test_size: int | float = 0.1,
        split_seed: int = 0,
        batch_size: int = 128,
        eval_batch_size: int = 256,
        predict_split: Predicted = "test",
    ) -> None:
        check_kinds(ImageFolder, locals())
        shape, path = Shape(sides("size", size), sides("crop", crop), channels), None if path is None else str(path)
        sizes = {"test_size": test_size, "val_size": val_size}
        super().__init__(path, shape, binarisation, sizes, split_seed, batch_size, eval_batch_size, predict_split)
        with only_plain(self):
            self.save_hyperparameters(logger=False)
        self.files: list[str] = []
        self.label_names: list[str] = []

    @property
    def names(self) -> list[str]:
        """The files by their paths within the folder, in the order of ids."""
        return self.files

    def whole(self) -> Observations:
        """Every image."""
        return self._observations(self.read()[0], 0)

    def read(self) -> tuple[Labelled, Labelled | None]:
        """Decode every file."""
        folder = self.folder
        paths = image_files(folder)
        labels = [path.relative_to(folder).parts[0] if path.parent != folder else "." for path in paths]
        names = sorted(set(labels))
        if "." in names and len(names) > 1:
            beside = f"{folder} has images ({paths[labels.index('.')].name}) beside sub-folders of images ({names[1]})"
            raise ValueError(f"{beside}: put all into sub-folders, one a label, or none")
        self.files, self.label_names = [path.relative_to(folder).as_posix() for path in paths], names
        numbers = {name: n for n, name in enumerate(names)}
        images = cached_images(folder, paths, self.shape)
        return Labelled(images, torch.tensor([numbers[label] for label in labels])), None
