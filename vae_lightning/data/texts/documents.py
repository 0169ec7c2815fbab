"""Documents: which words each has, and how often -> some of them, piece by piece, or a file that processes map."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vae_lightning.files import atomic_write
from vae_lightning.trust import keep_arrays, let_go, mapped_arrays

FIELDS = ("offsets", "words", "counts", "labels")
KINDS = ("<i8", "<i4", "<i4", "<i8")
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
            let_go(self.words)
            let_go(self.counts)
            begin = end

    def _run(self, rows: NDArray[np.int64]) -> Documents:
        """These rows; without a look-up where they follow each other."""
        first, last = int(rows[0]), int(rows[-1])
        if last - first + 1 != len(rows) or not (np.diff(rows) == 1).all():
            return self.select(rows)
        begin, end = self.offsets[first], self.offsets[last + 1]
        offsets = self.offsets[first : last + 2] - begin
        return Documents(offsets, self.words[begin:end], self.counts[begin:end], self.labels[first : last + 1])


@dataclass(frozen=True, eq=False)
class Record:
    """What is kept: documents and lists of texts, by their names, of which `label_names` says the labels."""

    documents: Mapping[str, Documents]
    texts: Mapping[str, list[str]]

    def save(self, path: Path) -> None:
        """Write the file, whole or not at all; where that cannot be, what was read is read again next time."""
        arrays: dict[str, NDArray[Any]] = {
            f"{name}.{field}": array for name, part in self.documents.items() for field, array in vars(part).items()
        }
        for name, texts in self.texts.items():
            arrays[name] = np.frombuffer(json.dumps(texts).encode(), np.uint8)
        with suppress(OSError), atomic_write(path) as file:
            keep_arrays(file, arrays)

    @classmethod
    def load(cls, path: Path, documents: Iterable[str], texts: Iterable[str]) -> Record | None:
        """The record in a file; None if it is missing, damaged or of another format: it will be made again."""
        arrays = mapped_arrays(path)
        try:
            return None if arrays is None else _checked(arrays, list(documents), list(texts))
        except (KeyError, TypeError, ValueError, RecursionError):
            return None


def _checked(arrays: Mapping[str, NDArray[Any]], documents: list[str], texts: list[str]) -> Record:
    """The record that these arrays hold; an error of some kind if they hold none."""
    lists = {name: _texts(arrays[name]) for name in texts}
    parts = {name: Documents(*(arrays[f"{name}.{field}"] for field in FIELDS)) for name in documents}
    if not all(_whole(part, len(lists["label_names"])) for part in parts.values()):
        raise ValueError("not documents")
    return Record(parts, lists)


def _texts(array: NDArray[Any]) -> list[str]:
    texts = json.loads(array.tobytes())
    if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
        raise ValueError("not a list of texts")
    return texts


def _whole(part: Documents, num_labels: int) -> bool:
    """Whether the rows are those of a matrix of counts, each with one of the labels, or -1 for none."""
    if [(array.dtype.str, array.ndim) for array in vars(part).values()] != [(kind, 1) for kind in KINDS]:
        return False
    ends, labels = part.offsets, part.labels
    rows = len(ends) == len(labels) + 1 and ends[0] == 0 and ends[-1] == len(part.words) == len(part.counts)
    low = ((np.diff(ends), 0), (labels, -1), (num_labels - 1 - labels, 0))
    if not rows or not all(array.min(initial=least) >= least for array, least in low):
        return False
    return all(piece.words.min(initial=0) >= 0 and piece.counts.min(initial=1) > 0 for piece in part.pieces())
