"""Mapped: a file of bytes, one row after the other -> tensors of the rows that are asked for, and no others."""

from __future__ import annotations

import mmap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from jaxtyping import Int64, UInt8
from torch import Size, Tensor

KEPT = 1 << 26  # bytes of a file whose pages stay in memory once they were read


class RowsFile:
    """A file that begins with N rows of bytes (N, *X), mapped into memory and shared by all processes that read it."""

    def __init__(self, path: Path, shape: Sequence[int]) -> None:
        self.path, self.shape = path, Size(shape)
        with path.open("rb") as file:
            self._map = mmap.mmap(file.fileno(), prod(self.shape), access=mmap.ACCESS_READ)
        self._rows = np.frombuffer(self._map, np.uint8).reshape(self.shape)

    def read(self, rows: Int64[Tensor, " B"]) -> UInt8[Tensor, "B *X"]:
        """A copy of these rows; a large file takes no other memory of this process afterwards."""
        found = torch.from_numpy(self._rows[rows.numpy()])
        if len(self._map) > KEPT:
            self._map.madvise(mmap.MADV_DONTNEED)
        return found

    def __reduce__(self) -> tuple[Any, ...]:
        return RowsFile, (self.path, tuple(self.shape))


@dataclass(frozen=True, eq=False)
class Mapped:
    """Some rows of a file, of which only those of a batch are read.

    Examples:
        >>> from pathlib import Path
        >>> from tempfile import mkdtemp
        >>> import torch
        >>> from vae_lightning.data.mapped import Mapped, RowsFile
        >>> path = Path(mkdtemp(), "rows")
        >>> _ = path.write_bytes(bytes(range(12)))
        >>> rows = Mapped.whole(RowsFile(path, (4, 3)))
        >>> rows.select(torch.tensor([3, 1]))[torch.tensor([0])]
        tensor([[ 9, 10, 11]], dtype=torch.uint8)
    """

    dtype: ClassVar[torch.dtype] = torch.uint8
    file: RowsFile
    rows: Int64[Tensor, " N"]

    @classmethod
    def whole(cls, file: RowsFile) -> Mapped:
        """All rows of a file."""
        return cls(file, torch.arange(file.shape[0]))

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def shape(self) -> Size:
        """(N, *X)."""
        return Size((len(self), *self.file.shape[1:]))

    def __getitem__(self, rows: Int64[Tensor, " B"]) -> UInt8[Tensor, "B *X"]:
        return self.file.read(self.rows[rows])

    def select(self, rows: Int64[Tensor, " n"]) -> Mapped:
        """These rows, in this order, still in their file."""
        return Mapped(self.file, self.rows[rows])

    def split(self, size: int) -> Iterator[UInt8[Tensor, "B *X"]]:
        """All rows in their order, so many at a time."""
        return map(self.file.read, self.rows.split(size))
