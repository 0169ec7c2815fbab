"""Faces: made-up pictures in CelebA's layout, and the real ones that VAE_LIGHTNING_DATA has."""

from __future__ import annotations

import os
import zipfile
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

NAMES = ["Bald", "Male", "Smiling"]
NUM = 12


def numbers(n: int = NUM) -> list[str]:
    """As CelebA names its files."""
    return [f"{number + 1:06d}.jpg" for number in range(n)]


def signs(n: int = NUM) -> NDArray[np.int64]:
    """Attributes of made-up faces, 0 or 1."""
    return np.random.default_rng(1).integers(0, 2, (n, len(NAMES)))


def official(n: int = NUM) -> list[int]:
    """Half training, a quarter each validation and test."""
    return [0] * (n - 2 * (n // 4)) + [1] * (n // 4) + [2] * (n // 4)


def write_faces(folder: Path, n: int = NUM) -> Path:
    """`img_align_celeba` with n faces of 22 x 18, each of one shade, beside its lists."""
    place = folder / "img_align_celeba"
    place.mkdir(parents=True)
    for number, name in enumerate(numbers(n)):
        pixels = np.full((22, 18, 3), (10 + 15 * number) % 241, np.uint8)
        pixels[:, :9] += 5  # the left half is brighter
        Image.fromarray(pixels).save(place / name, quality=95)
    write_lists(folder, n)
    return folder


def write_lists(folder: Path, n: int = NUM) -> None:
    """The official lists, as their authors write them."""
    rows = [
        f"{name} {' '.join('1' if sign else '-1' for sign in row)}"
        for name, row in zip(numbers(n), signs(n), strict=True)
    ]
    (folder / "list_attr_celeba.txt").write_text("\n".join([str(n), " ".join(NAMES), *rows, ""]))
    splits = [f"{name} {split}" for name, split in zip(numbers(n), official(n), strict=True)]
    (folder / "list_eval_partition.txt").write_text("\n".join([*splits, ""]))


def zip_faces(folder: Path) -> Path:
    """`img_align_celeba.zip` in place of the folder of that name."""
    archive, place = folder / "img_align_celeba.zip", folder / "img_align_celeba"
    with zipfile.ZipFile(archive, "w") as out:
        for path in sorted(place.iterdir()):
            out.write(path, f"img_align_celeba/{path.name}")
            path.unlink()
    place.rmdir()
    return archive


def find_real_faces() -> Path:
    """The 100 original faces; without them the test is skipped and says so, or fails where CI is set."""
    archive = Path(os.environ.get("VAE_LIGHTNING_DATA", ".")) / "celeba" / "img_align_celeba_first100.zip"
    if not archive.is_file():
        give_up = pytest.fail if os.environ.get("CI") else pytest.skip
        give_up(f"set VAE_LIGHTNING_DATA to a folder with celeba/{archive.name}")
    return archive


def find_many_real_faces() -> Path:
    """The zip file of 10,000 real faces at half size; without it the test is skipped, or fails where CI is set."""
    archive = find_real_faces().with_name("img_half_89x109.zip")
    if not archive.is_file():
        give_up = pytest.fail if os.environ.get("CI") else pytest.skip
        give_up(f"set VAE_LIGHTNING_DATA to a folder with celeba/{archive.name}")
    return archive
