"""Files: a folder or a zip file -> the images in it."""

from __future__ import annotations

import zipfile
from collections.abc import Iterable
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path, PurePosixPath

from lightning.pytorch.utilities import rank_zero_warn
from torchvision.datasets.folder import IMG_EXTENSIONS

from vae_lightning.data.reading import check_file

LARGEST_ZIP = 1 << 36  # bytes of a zip file
LARGEST_FILE = 1 << 28  # bytes of one image in it
MOST_MEMBERS = 10_000_000


@dataclass(frozen=True)
class Packed:
    """An image in a zip file, which is read there."""

    archive: zipfile.ZipFile
    member: zipfile.ZipInfo

    @property
    def name(self) -> str:
        """Without the folders that it is in."""
        return PurePosixPath(self.member.filename).name

    def open(self, mode: str = "rb") -> BytesIO:
        """Its bytes; ValueError for more of them than an image has, BadZipFile where they are not what was packed."""
        if self.member.file_size > LARGEST_FILE:
            raise ValueError(f"has {self.member.file_size:,} bytes, and at most {LARGEST_FILE:,} are read of an image")
        return BytesIO(self.archive.read(self.member))

    def __str__(self) -> str:
        return f"{self.archive.filename}/{self.member.filename}"


ImageFile = Path | Packed
"""An image, in a folder or in a zip file."""


def image_files(folder: Path) -> list[Path]:
    """Every image below a folder, by path, hidden ones left out; ValueError if there is none.

    Links to files count as files. Those to folders, which may lead to a whole disk or back, are named in a warning.
    """
    if not folder.is_dir():
        raise ValueError(f"there is no folder {folder}: give the folder of the images as path")
    found = list(folder.rglob("*"))
    paths = sorted(_visible(found, folder), key=lambda path: path.relative_to(folder).parts)
    if links := sorted(path for path in found if path.is_symlink() and path.is_dir() and not path.name.startswith(".")):
        more = f" and {len(links) - 1:,} more" if len(links) > 1 else ""
        rank_zero_warn(f"{links[0]}{more}: a link to a folder is not followed: link its files, or give the folder")
    if not paths:
        raise ValueError(f"there are no images in {folder}: files ending in {', '.join(IMG_EXTENSIONS)} are read")
    return paths


def _visible(paths: Iterable[Path], folder: Path) -> list[Path]:
    return [
        path
        for path in paths
        if path.suffix.lower() in IMG_EXTENSIONS
        and path.is_file()
        and not any(part.startswith(".") for part in path.relative_to(folder).parts)
    ]


def packed_images(archive: Path) -> list[Packed]:
    """Every image of a zip file, by path, hidden ones left out; nothing is unpacked.

    ValueError if it is no zip file, holds no images, or has a path that leads out of it.
    """
    check_file(archive, LARGEST_ZIP)
    try:
        opened = zipfile.ZipFile(archive)
    except (OSError, zipfile.BadZipFile, ValueError, NotImplementedError) as error:
        raise ValueError(f"cannot read {archive} ({error}): {_told_of(archive)}") from error
    found = [Packed(opened, member) for member in opened.infolist() if _is_image(member, archive)]
    if not 0 < len(found) <= MOST_MEMBERS:
        told = f"files ending in {', '.join(IMG_EXTENSIONS)} are read, at most {MOST_MEMBERS:,}"
        raise ValueError(f"there are {len(found):,} images in {archive}: {told}")
    return sorted(found, key=lambda each: PurePosixPath(each.member.filename).parts)


def _is_image(member: zipfile.ZipInfo, archive: Path) -> bool:
    path = PurePosixPath(member.filename)
    if path.is_absolute() or ".." in path.parts or "\\" in member.filename:
        raise ValueError(f"{archive} has {member.filename!r}, a path out of it: pack the folder of the images anew")
    return path.suffix.lower() in IMG_EXTENSIONS and not any(part.startswith(".") for part in path.parts)


def _told_of(archive: Path) -> str:
    """What a file that is no zip file is."""
    with archive.open("rb") as file:
        if file.read(512).lstrip().startswith(b"<"):
            return "it is a web page, as Google Drive has one where its quota is used up; download the file again later"
    return "it is no zip file, or not the whole one; download it again"
