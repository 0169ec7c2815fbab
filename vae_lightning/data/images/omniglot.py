"""Omniglot: its two archives of drawings -> batches of images (B, 1, H, W) and labels."""

from __future__ import annotations

import tempfile
import zipfile
import zlib
from pathlib import Path, PurePosixPath

import torch
from torchvision import datasets

from vae_lightning.construction.arguments import check_kinds
from vae_lightning.construction.hyperparameters import only_plain
from vae_lightning.data.download import RemoteFile
from vae_lightning.data.images.base import WHITE, ImageDataModule, Labelled, fetch_checked
from vae_lightning.data.images.binarise import Binarisation
from vae_lightning.data.images.decode import Shape, decode_all, sides
from vae_lightning.data.images.files import image_files
from vae_lightning.data.protocols import SplitName
from vae_lightning.data.reading import check_file

MD5 = datasets.Omniglot.zips_md5
SITE = datasets.Omniglot.download_url_prefix
BACKGROUND, EVALUATION = MD5
LARGEST = 1 << 28  # bytes of a zip file, and of all that it holds
MOST_MEMBERS = 100_000  # the larger of the two has 20,304


class Omniglot(ImageDataModule):
    """Handwritten characters of 50 alphabets, 20 drawings of each; x (B, 1, H, W) in [0, 1], ink 1 and paper 0.

    Its authors' split: the "background" set (30 alphabets, 964 characters, 19,280 drawings) is for training and
    validation, the "evaluation" set (20 alphabets, 659 characters, 13,180 drawings) for the test, so the test has
    characters that were never seen. Labels count the characters by alphabet and name, the test's after the others;
    `label_names` lists them. Ids count the drawings in the same way.

    Reads the folders `images_background` and `images_evaluation`, of `alphabet/character/drawing.png`, or the zip files
    of these names, from `path` or, as torchvision keeps them, from `omniglot-py` in it. Without a path they are looked
    for in $VAE_LIGHTNING_DATA/omniglot-py or ~/.cache/vae-lightning/omniglot-py, and downloaded there, as torchvision
    does. Source: B. Lake, R. Salakhutdinov and J. Tenenbaum, Human-level concept learning through probabilistic program
    induction (2015).

    Args:
        path: the folder of the files.
        size: to resize to (bilinear, antialiased) from 105 x 105: a side, or (height, width); None leaves it.
        binarisation: None for intensities; else `vae_lightning.data.StaticBinarisation` (drawn once),
            `DynamicBinarisation` (drawn anew every training epoch) or `ThresholdBinarisation`.
        val_size: a share of the background set, or how many, for validation, the characters in proportion.
        split_seed: of that choice, and of the order of every split.
        batch_size: observations in a training batch, for each process of the trainer.
        eval_batch_size: observations in a validation, test or prediction batch.
        download: whether to download what is missing, if no path is given.
        predict_split: which split `predict` reads.

    ValueError for files that are missing or damaged, and sizes that leave nothing for training.
    """

    name = datasets.Omniglot.folder

    def __init__(
        self,
        path: str | Path | None = None,
        *,
        size: int | tuple[int, int] | None = 28,
        binarisation: Binarisation | None = None,
        val_size: int | float = 0.1,
        split_seed: int = 0,
        batch_size: int = 128,
        eval_batch_size: int = 512,
        download: bool = True,
        predict_split: SplitName = "test",
    ) -> None:
        check_kinds(Omniglot, locals())
        shape, path = Shape(sides("size", size)), None if path is None else str(path)
        sizes = {"val_size": val_size}
        super().__init__(path, shape, binarisation, sizes, split_seed, batch_size, eval_batch_size, predict_split)
        with only_plain(self):
            self.save_hyperparameters(logger=False)
        self.download = download
        self.label_names: list[str] = []

    def prepare_data(self) -> None:
        """Download what is missing and unpack it, on one process."""
        for part in MD5:
            self._find(part)

    def read(self) -> tuple[Labelled, Labelled | None]:
        """Read both sets."""
        self.label_names = []
        return self._part(BACKGROUND), self._part(EVALUATION)

    def _part(self, part: str) -> Labelled:
        folder = self._find(part)
        paths = image_files(folder)
        characters = [path.relative_to(folder).parent.as_posix() for path in paths]
        first = len(self.label_names)
        numbers = {name: first + n for n, name in enumerate(dict.fromkeys(characters))}
        self.label_names += numbers
        drawings = WHITE - decode_all(paths, self.shape)
        return Labelled(drawings, torch.tensor([numbers[character] for character in characters]))

    def _find(self, part: str) -> Path:
        folder, archive = self.folder, f"{part}.zip"
        places = (folder, folder / self.name)
        for place in places:
            if (place / part).is_dir():
                return place / part
        for place in places:
            if (place / archive).is_file():
                return unpack(place / archive, part)
        url = f"{SITE}/{archive}"
        if self.path is None and self.download:
            return unpack(fetch_checked(RemoteFile(archive, url), folder, MD5[part]), part)
        raise ValueError(
            f"there is neither a folder {part} nor {archive} in {folder}: get it from {url} by hand, or leave path out "
            "and set download"
        )


def unpack(archive: Path, name: str) -> Path:
    """The folder `name` of a zip file, unpacked beside it, whole or not at all.

    ValueError unless the file is whole, and what it holds is within the bounds above.
    """
    target = archive.parent / name
    check_file(archive, LARGEST)
    try:
        with tempfile.TemporaryDirectory(dir=archive.parent, prefix=f".{name}.") as temporary:
            with zipfile.ZipFile(archive) as content:
                content.extractall(temporary, _within(name, content.infolist(), archive))
            try:
                (Path(temporary) / name).rename(target)
            except OSError:
                if not target.is_dir():  # else another process was first
                    raise
    except (OSError, zipfile.BadZipFile, EOFError, zlib.error, NotImplementedError, RuntimeError) as error:
        raise ValueError(f"cannot unpack {archive} ({error}): give the file as its authors have it, whole") from error
    return target


def _within(name: str, members: list[zipfile.ZipInfo], archive: Path) -> list[zipfile.ZipInfo]:
    """The members in the folder of this name; ValueError for too many or too large ones: none has more than it says."""
    size = sum(member.file_size for member in members)
    if len(members) > MOST_MEMBERS or size > LARGEST:
        many = f"{len(members):,} files of {size:,} bytes"
        raise ValueError(f"{archive} has {many}, and at most {MOST_MEMBERS:,} of {LARGEST:,} are unpacked")
    within = [member for member in members if PurePosixPath(member.filename).parts[:1] == (name,)]
    if not within or any(".." in member.filename for member in within):
        raise ValueError(f"{archive} does not hold a folder {name} alone: give the file as its authors have it")
    return within
