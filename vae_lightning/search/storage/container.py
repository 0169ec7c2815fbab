"""Container: a file of named arrays -> each of them, memory-mapped, its blocks checked where they are read.

The file: MAGIC, the arrays' bytes, each from a multiple of 64 on, then what is said of them in JSON, the sha256 of
that, its length, and MAGIC again.
"""

from __future__ import annotations

import hashlib
import json
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

MAGIC = b"vae-lightning index\n"
BLOCK = 1 << 18  # bytes that are checked at once
TYPES = ("|u1", "<u2", "<u4", "<u8")
ALIGNED = 64
_LARGEST_RECORD = 1 << 28  # bytes
END = struct.Struct(f"<32sQ{len(MAGIC)}s")
_ARRAY = {"type": str, "shape": list, "start": int, "blocks": list}

Array = NDArray[np.unsignedinteger[Any]]


class Container:
    """Arrays of whole numbers from 0 by their names, and `said`, plain values. ValueError for a file that is none.

    What it holds stays as it was opened, whoever replaces the file meanwhile.
    """

    def __init__(self, file: BinaryIO, name: str) -> None:
        self.name = name
        size = file.seek(0, 2)
        if size < len(MAGIC) + END.size:
            raise ValueError(f"{name} is no index: it has {size} bytes")
        self._bytes = np.memmap(file, np.uint8, "r")
        self._arrays, self.said = self._read(size)
        self._checked: set[tuple[str, int]] = set()

    @classmethod
    def open(cls, path: Path) -> Container:
        """A file."""
        if not path.is_file():
            raise ValueError(f"there is no index {path}: `vae-lightning index` writes one")
        with path.open("rb") as file:
            return cls(file, str(path))

    def __contains__(self, name: str) -> bool:
        return name in self._arrays

    def shape(self, name: str) -> tuple[int, ...]:
        """(rows,) or (rows, columns)."""
        return tuple(self._array(name)["shape"])

    def array(self, name: str) -> Array:
        """All of an array, mapped; ValueError for one that is damaged."""
        return self.rows(name, 0, self.shape(name)[0])

    def rows(self, name: str, start: int, stop: int) -> Array:
        """Some rows, mapped, of which the blocks that they lie in are checked when they are first read."""
        array = self._array(name)
        (_, *columns), kind = array["shape"], np.dtype(array["type"])
        width = kind.itemsize * int(np.prod(columns, dtype=np.int64))
        for block in range(start * width // BLOCK, -(-stop * width // BLOCK)):
            self._check(name, block)
        part = self._bytes[array["start"] + start * width : array["start"] + stop * width]
        return part.view(np.ndarray).view(kind).reshape(stop - start, *columns)

    def check(self) -> None:
        """Read all of it; ValueError if any of it is not as it was written."""
        for name in self._arrays:
            self.array(name)

    def write(self, out: BinaryIO) -> None:
        """All of the file again."""
        for start in range(0, len(self._bytes), BLOCK):
            out.write(self._bytes[start : start + BLOCK].data)

    def is_in(self, path: Path) -> bool:
        """Whether a file is still this one, by what it ends with: the sha256 of all that is said of its arrays."""
        with path.open("rb") as file:
            file.seek(max(0, file.seek(0, 2) - END.size))
            return file.read() == self._bytes[-END.size :].tobytes()

    def damaged(self, what: str) -> ValueError:
        """The error of a file that is not as it was written."""
        return ValueError(f"{self.name} is damaged: {what}: build the index anew")

    def _array(self, name: str) -> Mapping[str, Any]:
        if name not in self._arrays:
            raise self.damaged(f"it has no {name}")
        return self._arrays[name]

    def _check(self, name: str, block: int) -> None:
        if (name, block) in self._checked:
            return
        array = self._arrays[name]
        end = array["start"] + _size(array)
        first = array["start"] + block * BLOCK
        if hashlib.sha256(self._bytes[first : min(first + BLOCK, end)].data).hexdigest() != array["blocks"][block]:
            raise self.damaged(f"its {name} are not as they were written")
        self._checked.add((name, block))

    def _read(self, size: int) -> tuple[dict[str, Any], dict[str, Any]]:
        """The records of the arrays, each of which lies within the file, and what else is said."""
        digest, length, magic = END.unpack(self._bytes[-END.size :].tobytes())
        if magic != MAGIC or self._bytes[: len(MAGIC)].tobytes() != MAGIC:
            raise ValueError(f"{self.name} is no index of `vae-lightning index`, or not all of one")
        end = size - END.size - length
        if not len(MAGIC) <= end <= size or length > _LARGEST_RECORD:
            raise self.damaged(f"its record has {length} bytes")
        record = self._bytes[end : size - END.size].tobytes()
        if hashlib.sha256(record).digest() != digest:
            raise self.damaged("its record is not as it was written")
        try:
            found = json.loads(record)
            arrays, said = found["arrays"], found["said"]
            whole = isinstance(said, dict) and all(_lies_within(array, end) for array in arrays.values())
        except (ValueError, RecursionError, KeyError, TypeError, AttributeError, OverflowError) as error:
            raise self.damaged("its record is none") from error
        if not whole:
            raise self.damaged("its record speaks of other arrays than it has")
        return arrays, said


def _lies_within(array: Any, end: int) -> bool:
    if not isinstance(array, dict) or {name: type(value) for name, value in array.items()} != _ARRAY:
        return False
    shape, start = array["shape"], array["start"]
    if array["type"] not in TYPES or len(shape) not in (1, 2) or start % ALIGNED:
        return False
    if not all(type(side) is int and 0 <= side < 1 << 40 for side in shape):
        return False
    size = _size(array)
    return 0 <= start <= start + size <= end and len(array["blocks"]) == -(-size // BLOCK)


def _size(array: Mapping[str, Any]) -> int:
    size = np.dtype(array["type"]).itemsize
    for side in array["shape"]:
        size *= side
    return size
