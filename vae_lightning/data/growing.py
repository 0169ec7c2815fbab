"""Growing: numbers that come a few at a time -> one array, in memory while it is small, else mapped from a file."""

from __future__ import annotations

import tempfile
from typing import Any, BinaryIO, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from vae_lightning.data.download import cache_folder

IN_MEMORY = 1 << 26  # bytes
Number = TypeVar("Number", bound=np.number[Any])


class Growing(Generic[Number]):
    """A column of numbers, of which more than 64 MB are in a file in the user's cache folder.

    The file has no name, and is gone with whoever holds it, however that ends.
    """

    def __init__(self, kind: type[Number]) -> None:
        self.kind = kind
        self.parts: list[NDArray[Number]] = []
        self.file: BinaryIO | None = None
        self.size, self.waiting = 0, 0

    def extend(self, numbers: NDArray[Any]) -> None:
        """Append numbers; ValueError where there is no room left."""
        self.parts.append(numbers.astype(self.kind))
        self.size += len(numbers)
        self.waiting += self.parts[-1].nbytes
        if self.waiting > IN_MEMORY:
            self._write()

    def array(self) -> NDArray[Number]:
        """All numbers in one array; what is written into a mapped array is in its file."""
        if self.file is None:
            return np.concatenate([np.empty(0, self.kind), *self.parts])
        self._write()
        return np.memmap(self.file, self.kind, "r+", shape=(self.size,))

    def _write(self) -> None:
        try:
            self.file = self.file or _nameless()
            for part in self.parts:
                self.file.write(part.data)
            self.file.flush()
        except OSError as error:
            why = f"cannot keep {self.size:,} counts in {cache_folder()}: {error.strerror}"
            raise ValueError(f"{why}: set XDG_CACHE_HOME to a folder with room") from error
        self.parts, self.waiting = [], 0


def _nameless() -> BinaryIO:
    """A file without a name in the user's cache folder, or in the system's temporary one if that cannot be written."""
    try:
        cache_folder().mkdir(parents=True, exist_ok=True)
        return tempfile.TemporaryFile(dir=cache_folder())
    except OSError:
        return tempfile.TemporaryFile()
