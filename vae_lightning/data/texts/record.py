"""Record: documents and lists of texts -> a file in the user's cache folder, mapped by every process that reads it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vae_lightning.data.texts.documents import Documents
from vae_lightning.files import atomic_write
from vae_lightning.trust import keep_arrays, mapped_arrays

FIELDS = ("offsets", "words", "counts", "labels")


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
        """None for a file that is missing, damaged or of another format: it will be made again."""
        arrays = mapped_arrays(path)
        try:
            return None if arrays is None else _checked(arrays, list(documents), list(texts))
        except (KeyError, TypeError, ValueError, RecursionError):
            return None


def _checked(arrays: Mapping[str, NDArray[Any]], documents: list[str], texts: list[str]) -> Record:
    """The record of these arrays; an error of some kind for those of none."""
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
    if [vars(part)[field].dtype.str for field in FIELDS] != ["<i8", "<i4", "<i4", "<i8"]:
        return False
    ends, labels = part.offsets, part.labels
    rows = len(ends) == len(labels) + 1 and ends[0] == 0 and ends[-1] == len(part.words) == len(part.counts)
    low = ((np.diff(ends), 0), (part.words, 0), (part.counts, 1), (labels, -1), (num_labels - 1 - labels, 0))
    return bool(rows) and all(array.ndim == 1 and array.min(initial=least) >= least for array, least in low)
