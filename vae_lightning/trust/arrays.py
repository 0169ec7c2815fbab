"""Arrays -> a file that knows what it holds, and back: all of them as they were, or None."""

from __future__ import annotations

import hashlib
import io
import math
import mmap
import struct
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

_SEAL = "seal"
_PART = 1 << 23  # bytes
_LOCAL_HEADER = 30  # bytes of a member's header in a .zip, before its name
_LONGEST_HEADER = 1 << 12  # bytes of that of an array


def keep_arrays(file: BinaryIO, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Write them, with a sha256 over their names, types, shapes and bytes; memory is bounded where they are mapped."""
    sealed: dict[str, NDArray[Any]] = {_SEAL: np.array(_sha256(arrays))} | dict(arrays)
    with zipfile.ZipFile(file, "w") as members:  # as np.savez has it, which would hold all that is mapped
        for name, array in sealed.items():
            with members.open(f"{name}.npy", "w", force_zip64=True) as member:
                np.lib.format.write_array_header_1_0(member, np.lib.format.header_data_from_array_1_0(array))
                for part in _parts(array.T if _by_columns(array) else array):
                    member.write(part)


def kept_arrays(path: Path) -> dict[str, NDArray[Any]] | None:
    """Every array, in memory, by the sha256 beside them; no pickled objects, no more memory than the file has bytes.

    None for a file that is damaged in any way, or that is not of `keep_arrays`: it is made again where it is not there,
    and so it is where it cannot be read.
    """
    mapped = mapped_arrays(path)
    return None if mapped is None else {name: np.array(array, order="K") for name, array in mapped.items()}


def mapped_arrays(path: Path) -> dict[str, NDArray[Any]] | None:
    """As `kept_arrays`, but mapped from the file: not to be written to, and shared by all processes that read it."""
    try:
        with path.open("rb") as file, zipfile.ZipFile(file) as members:
            content = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
            records = {record.filename.removesuffix(".npy"): record for record in members.infolist()}
        arrays = {name: _mapped(content, record) for name, record in records.items()}
        seal = str(arrays.pop(_SEAL))
        whole = seal == _sha256(arrays)
        return arrays if whole else None
    except Exception:  # zipfile and NumPy raise all kinds, by what the bytes happen to look like
        return None


def _mapped(content: mmap.mmap, record: zipfile.ZipInfo) -> NDArray[Any]:
    """A member of the file, which is stored as it is; ValueError for one that is packed or holds objects."""
    lengths = struct.unpack_from("<HH", content, record.header_offset + _LOCAL_HEADER - 4)
    begins = record.header_offset + _LOCAL_HEADER + sum(lengths)
    header = io.BytesIO(content[begins : begins + _LONGEST_HEADER])
    if record.compress_type != zipfile.ZIP_STORED or np.lib.format.read_magic(header) != (1, 0):
        raise ValueError(f"{record.filename} is not of keep_arrays")
    shape, by_columns, dtype = np.lib.format.read_array_header_1_0(header)
    flat = np.frombuffer(content, dtype, math.prod(shape), begins + header.tell())
    return flat.reshape(shape, order="F" if by_columns else "C")


def _sha256(arrays: Mapping[str, NDArray[Any]]) -> str:
    digest = hashlib.sha256()
    for name, array in sorted(arrays.items()):
        digest.update(f"{name} {array.dtype.str} {array.shape} ".encode())
        for part in _parts(array):
            digest.update(part)
    return digest.hexdigest()


def _by_columns(array: NDArray[Any]) -> bool:
    return array.flags.f_contiguous and not array.flags.c_contiguous


def _parts(array: NDArray[Any]) -> Iterator[memoryview]:
    """The bytes of an array, row by row, some millions at a time; of one that is mapped no more than these are held."""
    content = np.ascontiguousarray(array).reshape(-1).view(np.uint8)
    for begin in range(0, len(content), _PART):
        yield content[begin : begin + _PART].data
        let_go(array)


def let_go(array: NDArray[Any]) -> None:
    """Of an array that is mapped from a file, take what was looked at out of this process's memory."""
    base: object = array
    while isinstance(base, np.ndarray):
        base = base.base
    mapped = base.obj if isinstance(base, memoryview) else base
    if isinstance(mapped, mmap.mmap):
        mapped.madvise(mmap.MADV_DONTNEED)
