"""Cache: image files and what they become -> their bytes, decoded once and then mapped from the user's cache folder.

A cache is the images' bytes (N, C, H, W), then C, H, W and a checksum. Its name is a hash of what made it: the files'
names, sizes and times (in a zip file, checksums), what they become, and the versions of what decodes them. One that is
damaged is made again, and one whose making was killed goes on. Which files could not be read, where that is allowed,
lies beside it.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
import struct
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from math import prod
from pathlib import Path

import PIL
import torchvision
from jaxtyping import UInt8
from torch import Tensor

from vae_lightning.data.download import cache_folder
from vae_lightning.data.images.decode import Shape, decode_all, decoded
from vae_lightning.data.images.files import ImageFile, Packed
from vae_lightning.data.images.unfinished import Unfinished, add_checksum, checksum_of_none, remove
from vae_lightning.data.mapped import Mapped, RowsFile
from vae_lightning.files import locked

FORMAT = 1  # raise it when the file changes: old ones are then left alone
_END = struct.Struct("<4I")  # C, H, W and the checksum


def cached_images(
    folder: Path, paths: Sequence[ImageFile], shape: Shape, damaged: dict[int, str] | None = None
) -> Mapped | UInt8[Tensor, "N C H W"]:
    """The images of these files of a folder or a zip file; in memory where there is no place for a cache.

    Processes that ask at the same time wait for the one that decodes. ValueError as `decode.decoded` raises it; with
    `damaged`, the files that cannot be read are named there by their numbers and left out.
    """
    place = cache_folder() / f"images-{_key(folder, paths, shape)}-v{FORMAT}"
    known: dict[int, str] = {}
    with suppress(OSError), locked(place):
        known = {} if damaged is None else _left_out(place)
        if (found := _opened(place, len(paths) - len(known))) is None:
            known = {}
            _write(place, paths, shape, None if damaged is None else known)
            found = _opened(place, len(paths) - len(known))
        if found is not None:
            remove(place)
            if damaged is not None:
                damaged.update(known)
            return found
    return decode_all(paths, shape, damaged)


def _key(folder: Path, paths: Sequence[ImageFile], shape: Shape) -> str:
    made_by = hashlib.sha256(f"{shape} {PIL.__version__} {torchvision.__version__} {folder.resolve()}\n".encode())
    for path in paths:
        made_by.update(_stamp(folder, path).encode(errors="replace"))
    return made_by.hexdigest()[:32]


def _stamp(folder: Path, path: ImageFile) -> str:
    if isinstance(path, Packed):
        return f"{path.member.filename}\0{path.member.file_size}\0{path.member.CRC}\n"
    info = path.stat()
    return f"{path.relative_to(folder)}\0{info.st_size}\0{info.st_mtime_ns}\n"


def _beside(place: Path) -> Path:
    """The list of the files that could not be read."""
    return place.with_name(f"{place.name}.left-out")


def _left_out(place: Path) -> dict[int, str]:
    """Which files are not in the cache, and why; none where no such list can be read."""
    try:
        found = json.loads(_beside(place).read_bytes())
        return {int(number): str(reason) for number, reason in found.items()}
    except (OSError, ValueError, AttributeError):
        return {}


def _opened(place: Path, num: int) -> Mapped | None:
    """The images of a cache file; None if the file is missing or damaged."""
    try:
        with place.open("rb") as file:
            size = os.fstat(file.fileno()).st_size - _END.size
            file.seek(size)
            *image, expected = _END.unpack(file.read())
            file.seek(0)
            if size != num * prod(image) or add_checksum(file, size, checksum_of_none(image)) != expected:
                return None
        return Mapped.whole(RowsFile(place, (num, *image)))
    except (OSError, ValueError, struct.error):
        return None


def _write(place: Path, paths: Sequence[ImageFile], shape: Shape, damaged: dict[int, str] | None) -> None:
    """Decode the files into a cache file, from where another process was killed.

    OSError, before anything is written, if the disk has no room for all.
    """
    with Unfinished(place) as rows:
        if damaged is None and rows.left_out:
            raise ValueError(next(iter(rows.left_out.values())))
        begun = rows.num
        for image in decoded(paths, shape, None if damaged is None else rows.left_out, rows.done, rows.row):
            if rows.num == begun and (len(paths) - rows.done) * image.numel() > shutil.disk_usage(place.parent).free:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(place))
            rows.append(image)
        with _keeping_left_out(place, rows.left_out):
            rows.finish(_END.pack(*(rows.row or ()), rows.checksum))
    if damaged is not None:
        damaged.update(rows.left_out)


@contextmanager
def _keeping_left_out(place: Path, damaged: dict[int, str]) -> Iterator[None]:
    """Write the list of the files that could not be read, if there are any, before this block makes the cache file.

    OSError, and no list, if there is no room for either.
    """
    written = place.with_name(f".{place.name}.left-out")
    _beside(place).unlink(missing_ok=True)
    try:
        if damaged:
            written.write_text(json.dumps(damaged))
            written.replace(_beside(place))
        yield
    except OSError:
        written.unlink(missing_ok=True)
        _beside(place).unlink(missing_ok=True)
        raise
