"""Growing: rows of several arrays as they come -> one container, in bounded memory."""

from __future__ import annotations

import hashlib
import json
import math
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from vae_lightning.search.storage.container import ALIGNED, BLOCK, END, MAGIC, TYPES, Array

ROWS = 1 << 20  # copied at once


@dataclass
class _Array:
    """Rows in a nameless file: bytes as they are, other whole numbers as eight bytes each."""

    file: BinaryIO
    stored: str
    columns: tuple[int, ...]
    rows: int = 0
    largest: int = 0

    def append(self, rows: Array) -> None:
        self.file.write(np.ascontiguousarray(rows, self.stored).data)
        self.rows += len(rows)
        if self.stored != TYPES[0]:
            self.largest = max(self.largest, int(rows.max(initial=0)))

    @property
    def shape(self) -> tuple[int, ...]:
        return (self.rows, *self.columns)

    @property
    def narrow(self) -> str:
        """The type of fewest bytes that has room for all numbers."""
        return next(kind for kind in TYPES if self.largest <= np.iinfo(kind).max)

    def read(self) -> Array:
        self.file.flush()
        return (
            np.memmap(self.file, self.stored, "r", shape=self.shape)
            if math.prod(self.shape)
            else np.empty(self.shape, "u1")
        )

    def blocks(self) -> Iterator[bytes]:
        """Its bytes in the narrow type, in blocks."""
        rows, left = self.read(), b""
        for start in range(0, self.rows, ROWS):
            left += rows[start : start + ROWS].astype(self.narrow).tobytes()
            whole = len(left) // BLOCK * BLOCK
            yield from (left[at : at + BLOCK] for at in range(0, whole, BLOCK))
            left = left[whole:]
        if left:
            yield left


class Growing:
    """Arrays that grow row by row at the same time, and are then written as one container.

    They lie in nameless files of `folder`, by default of the system's folder for such, which are gone when this is
    closed or the process ends. Whole numbers from 0 take as few bytes each as the largest of their array needs.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = folder
        self._open = ExitStack()
        self._arrays: dict[str, _Array] = {}

    def append(self, name: str, rows: Array) -> None:
        """More rows, (n,) or (n, columns); an array of type uint8 keeps it."""
        if name not in self._arrays:
            try:
                nameless = tempfile.TemporaryFile(dir=self._folder)  # noqa: SIM115  # the stack closes it
            except OSError as error:
                raise OSError(error.errno, error.strerror, str(self._folder)) from error
            file = self._open.enter_context(nameless)
            self._arrays[name] = _Array(file, TYPES[0] if rows.dtype == np.uint8 else TYPES[-1], rows.shape[1:])
        self._arrays[name].append(rows)

    def written(self, name: str) -> Array:
        """What an array has so far, mapped."""
        return self._arrays[name].read()

    def finish(self, out: BinaryIO, said: Mapping[str, Any]) -> None:
        """Write the container to the start of a file."""
        out.write(MAGIC)
        arrays = {}
        for name, array in sorted(self._arrays.items()):
            out.write(bytes(-out.tell() % ALIGNED))
            start = out.tell()
            digests = list(map(_written_to(out), array.blocks()))
            arrays[name] = {"type": array.narrow, "shape": list(array.shape), "start": start, "blocks": digests}
        record = json.dumps({"arrays": arrays, "said": said}).encode()
        out.write(record + END.pack(hashlib.sha256(record).digest(), len(record), MAGIC))
        out.flush()

    def __enter__(self) -> Growing:
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()


def _written_to(out: BinaryIO) -> Callable[[bytes], str]:
    """Writes a block, and gives its sha256."""

    def write(block: bytes) -> str:
        out.write(block)
        return hashlib.sha256(block).hexdigest()

    return write
