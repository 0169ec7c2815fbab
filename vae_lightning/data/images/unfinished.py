"""Unfinished: rows of bytes as they come -> a file, which goes on where its writer was killed, and is then whole.

The rows lie in a hidden file beside the one that they become. Beside them lie notes: each line says how many rows
there are by then, of which shape, their checksum, and what else was left out. Rows that no note speaks of, or whose
checksum does not hold, are written again.
"""

from __future__ import annotations

import json
import os
import zlib
from collections.abc import Sequence
from contextlib import ExitStack
from math import prod
from pathlib import Path
from types import TracebackType
from typing import BinaryIO

import numpy as np
from jaxtyping import UInt8
from torch import Size, Tensor

BLOCK = 256  # rows between two notes
_PIECE = 1 << 24  # bytes read at once


def checksum_of_none(row: Sequence[int]) -> int:
    """That of no rows of this shape."""
    return zlib.crc32(repr(list(row)).encode())


def add_checksum(file: BinaryIO, size: int, checksum: int) -> int:
    """The checksum when so many bytes more are read; of fewer where the file ends."""
    while size > 0 and (piece := file.read(min(size, _PIECE))):
        checksum, size = zlib.crc32(piece, checksum), size - len(piece)
    return checksum


def remove(place: Path) -> None:
    """What was written of a file that is not to be, or that is whole by now."""
    for path in _hidden(place):
        path.unlink(missing_ok=True)


def _hidden(place: Path) -> tuple[Path, Path]:
    """The rows, and the notes."""
    return place.with_name(f".{place.name}.rows"), place.with_name(f".{place.name}.notes")


class Unfinished:
    """The rows that `place` has so far; a context manager, in which no other process may be for this place.

    An error in it removes them. A signal, however it ends the process, leaves them to the next.
    """

    def __init__(self, place: Path) -> None:
        self.place = place
        self.row: Size | None = None
        self.num = self.checksum = 0
        self.left_out: dict[int, str] = {}  # what became no row, by number, and why; to be added to
        self._noted: set[int] = set()

    @property
    def done(self) -> int:
        """How many things became rows or were left out."""
        return self.num + len(self.left_out)

    def __enter__(self) -> Unfinished:
        self.place.parent.mkdir(parents=True, exist_ok=True)
        with ExitStack() as opened:
            self._rows, self._notes = (opened.enter_context(_opened(path)) for path in _hidden(self.place))
            self._take_over()
            self._opened = opened.pop_all()
        return self

    def _take_over(self) -> None:
        """Go on behind the last note that holds."""
        held = 0
        for line in self._notes:
            if not self._holds(line):
                break
            held += len(line)
        self._notes.seek(held)
        self._notes.truncate()
        self._rows.seek(self.num * prod(self.row or ()))

    def _holds(self, line: bytes) -> bool:
        """Whether the rows are what the next note says; if so, they are taken over."""
        try:
            num, row, checksum, left_out = json.loads(line)
            size, left_out = (num - self.num) * prod(row), {int(number): str(why) for number, why in left_out.items()}
            known = self.checksum if self.num else checksum_of_none(row)
            if not (line.endswith(b"\n") and size > 0 and self.row in (None, Size(row))):
                return False
            if add_checksum(self._rows, size, known) != checksum:
                return False
        except (ValueError, TypeError, AttributeError):
            return False
        self.num, self.row, self.checksum = num, Size(row), checksum
        self.left_out |= left_out
        self._noted |= left_out.keys()
        return True

    def append(self, row: UInt8[Tensor, "*X"]) -> None:
        """One more, of the shape of all."""
        if self.row is None:
            self.row, self.checksum = row.shape, checksum_of_none(row.shape)
        content = np.ascontiguousarray(row.numpy()).data
        self._rows.write(content)
        self.num, self.checksum = self.num + 1, zlib.crc32(content, self.checksum)
        if self.num % BLOCK == 0:
            self._note()

    def _note(self) -> None:
        new = {number: why for number, why in self.left_out.items() if number not in self._noted}
        self._noted |= new.keys()
        self._rows.flush()
        self._notes.write(json.dumps([self.num, self.row, self.checksum, new]).encode() + b"\n")
        self._notes.flush()

    def finish(self, end: bytes) -> None:
        """The rows and these bytes become the file."""
        self._rows.write(end)
        self._rows.truncate()
        self._rows.flush()
        os.fsync(self._rows.fileno())
        _hidden(self.place)[0].replace(self.place)
        remove(self.place)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self._opened.close()  # which tries once more to write what a full disk has refused
        finally:
            if isinstance(error, Exception):
                remove(self.place)


def _opened(path: Path) -> BinaryIO:
    """To be read and written; made if it is missing."""
    path.touch()
    return path.open("r+b")
