"""Files: a folder -> the images below it."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from torchvision.datasets.folder import IMG_EXTENSIONS


def image_files(folder: Path) -> list[Path]:
    """Every image below a folder, by path, hidden ones left out; ValueError if there is none."""
    if not folder.is_dir():
        raise ValueError(f"there is no folder {folder}: give the folder of the images as path")
    paths = sorted(_visible(folder.rglob("*"), folder), key=lambda path: path.relative_to(folder).parts)
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
