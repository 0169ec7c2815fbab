"""Documents: which words each has, and how often -> all of them, some, or piece by piece in bounded memory."""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

PIECE = 1 << 21  # entries looked at at once, which bounds the memory


@dataclass(frozen=True, eq=False)
class Documents:
    """N documents in compressed form: document n has the words (0-based) and counts at `offsets[n]:offsets[n + 1]`."""

    offsets: NDArray[np.int64]
    words: NDArray[np.int32]
    counts: NDArray[np.int32]
    labels: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.labels)

    def select(self, rows: NDArray[np.int64]) -> Documents:
        """The documents of these rows, in this order."""
        lengths = np.diff(self.offsets)[rows]
        offsets = np.concatenate(([0], lengths.cumsum())).astype(np.int64)
        entries = np.arange(offsets[-1]) + np.repeat(self.offsets[rows] - offsets[:-1], lengths)
        return Documents(offsets, self.words[entries], self.counts[entries], self.labels[rows])

    def pieces(self, rows: NDArray[np.int64] | None = None) -> Iterator[Documents]:
        """The documents of these rows, or all, a few at a time."""
        rows = np.arange(len(self)) if rows is None else rows
        ends = (self.offsets[rows + 1] - self.offsets[rows]).cumsum()
        begin = 0
        while begin < len(rows):
            done = ends[begin - 1] if begin else 0
            end = max(begin + 1, int(np.searchsorted(ends, done + PIECE, "right")))
            yield self._run(rows[begin:end])
            _let_go(self.words)
            _let_go(self.counts)
            begin = end

    def _run(self, rows: NDArray[np.int64]) -> Documents:
        """These rows; without a look-up where they follow each other."""
        first, last = int(rows[0]), int(rows[-1])
        if last - first + 1 != len(rows) or not (np.diff(rows) == 1).all():
            return self.select(rows)
        begin, end = self.offsets[first], self.offsets[last + 1]
        offsets = self.offsets[first : last + 2] - begin
        return Documents(offsets, self.words[begin:end], self.counts[begin:end], self.labels[first : last + 1])


def _let_go(array: NDArray[np.int32]) -> None:
    """Of an array that is mapped from a file, take what was looked at out of this process's memory."""
    base: object = array
    while isinstance(base, np.ndarray):
        base = base.base
    mapped = base.obj if isinstance(base, memoryview) else base
    if isinstance(mapped, mmap.mmap):
        mapped.madvise(mmap.MADV_DONTNEED)
