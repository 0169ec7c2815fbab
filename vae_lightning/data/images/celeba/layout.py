"""Layout: where CelebA's files may lie -> the folder or zip file of the faces, and the folders of their lists."""

from __future__ import annotations

from collections.abc import Container, Sequence
from dataclasses import dataclass
from pathlib import Path

from torchvision.datasets import celeba
from torchvision.datasets.folder import IMG_EXTENSIONS

from vae_lightning.data.download import RemoteFile
from vae_lightning.data.images.base import fetch_checked
from vae_lightning.data.images.files import ImageFile, image_files, packed_images

PAGE = "https://mmlab.ie.cuhk.edu.hk/projects/CelebA.html"
SITE = "https://drive.usercontent.google.com/download?export=download&confirm=t&id="
LARGEST = 1 << 31  # bytes of a download; the faces have 1.4 billion
FACES, ATTRIBUTES, SPLITS = "img_align_celeba", "list_attr_celeba", "list_eval_partition"
KNOWN = {name: (number, md5) for number, md5, name in celeba.CelebA.file_list}
WANTED = (f"{FACES}.zip", f"{ATTRIBUTES}.txt", f"{SPLITS}.txt")


@dataclass(frozen=True)
class Faces:
    """Image files below `root`, a folder or a zip file, their paths in it, and the folders where their lists may be."""

    root: Path
    files: Sequence[ImageFile]
    names: Sequence[str]
    places: Sequence[Path]

    def once_read(self, damaged: Container[int]) -> Faces:
        """Without these files, and without what opened the others, which may go; the names of those stay."""
        names = [name for row, name in enumerate(self.names) if row not in damaged]
        return Faces(self.root, [], names, self.places)


def find(place: Path) -> Path | None:
    """The folder or zip file of the faces; None if there is none."""
    if place.is_file():
        return place
    folders = (place, place / "celeba")
    for path in (folder / name for folder in folders for name in (FACES, f"{FACES}.zip")):
        if path.exists():
            return path
    for folder in folders:
        if folder.is_dir() and any(path.suffix.lower() in IMG_EXTENSIONS for path in folder.rglob("*")):
            return folder
    zips = [path for folder in folders if folder.is_dir() for path in folder.glob("*.zip")]
    return max(zips, key=lambda path: path.stat().st_size) if zips else None


def faces_of(root: Path) -> Faces:
    """All images of a folder or a zip file; ValueError if there are none."""
    if root.is_dir():
        paths = image_files(root)
        return Faces(root, paths, [path.relative_to(root).as_posix() for path in paths], (root, root.parent))
    packed = packed_images(root)
    return Faces(root, packed, [each.member.filename for each in packed], (root.parent,))


def download(folder: Path) -> None:
    """The faces and their lists; ValueError with the manual way, also for the page that says a quota is used up."""
    for name in WANTED:
        if not (folder / name).is_file():
            number, md5 = KNOWN[name]
            try:
                fetch_checked(RemoteFile(name, SITE + number), folder, md5, LARGEST)
            except ValueError as error:
                quota = "Google Drive answers with a page where the day's quota of a file is used up"
                raise ValueError(f"{error}; {quota}: try again tomorrow, or see {PAGE}") from error
