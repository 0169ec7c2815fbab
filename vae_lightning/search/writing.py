"""IndexWriter: codes of documents and what is shown of them, some at a time -> the file of an index."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
from jaxtyping import Bool
from numpy.typing import NDArray
from torch import Tensor

from vae_lightning.search.hamming import lookup, scan
from vae_lightning.search.hamming.ranking import Packed
from vae_lightning.search.storage.container import Array, Container
from vae_lightning.search.storage.growing import ROWS, Growing
from vae_lightning.search.words import NO_WORD

FORMAT = 1
STRINGS = ("names", "titles")
LONGEST = 1 << 12  # bytes of a name; of a title fewer are kept
TITLE = 80  # characters


@dataclass(frozen=True, eq=False)
class Batch:
    """N documents: their codes, and what is shown of them; top words are numbers of the vocabulary, or `NO_WORD`."""

    codes: Packed
    names: Sequence[str]
    titles: Sequence[str]
    labels: Sequence[str | None]
    words: NDArray[np.int64]


class IndexWriter:
    """Collects documents in nameless files of a folder, and writes them as one index.

    Equal documents in equal order make equal files, whether they came one by one or from another index.
    """

    def __init__(self, num_bits: int, vocabulary: Sequence[str] = (), folder: Path | None = None) -> None:
        self.num_bits, self.num_documents = num_bits, 0
        self._growing, self._labels = Growing(folder), dict[str, int]()
        self._ends = dict.fromkeys((*STRINGS, "vocabulary"), 0)
        self._add_strings("vocabulary", vocabulary)

    def add(self, batch: Batch) -> None:
        """More documents; ValueError for names that are none."""
        self._growing.append("codes", batch.codes)
        self._add_strings("names", batch.names)
        self._add_strings("titles", batch.titles)
        self._growing.append("hashes", hashes(batch.names))
        labels = [
            0 if label is None else self._labels.setdefault(label, len(self._labels) + 1) for label in batch.labels
        ]
        self._growing.append("labels", np.array(labels, np.uint64))
        self._growing.append("words", (batch.words - NO_WORD).astype(np.uint64))
        self.num_documents += len(batch.names)

    def copy(self, other: Container, kept: Bool[np.ndarray, " n"]) -> None:
        """The documents of another index of the same model that are to be kept."""
        for start in range(0, len(kept), ROWS):
            stop = min(start + ROWS, len(kept))
            rows = kept[start:stop]
            for name in ("codes", "hashes", "words"):
                part = other.rows(name, start, stop)[rows]
                self._growing.append(name, part if name == "codes" else part.astype(np.uint64))
            for name in STRINGS:
                self._copy_strings(other, name, start, stop, rows)
            self._growing.append("labels", self._renumbered(other, other.rows("labels", start, stop)[rows]))
        self.num_documents += int(kept.sum())

    def finish(self, out: BinaryIO, model: Mapping[str, str] | None) -> None:
        """Write the index; ValueError for two documents of one name."""
        self._check_names()
        if self.num_documents > scan.CODES:
            lookup.add_tables(self._growing, self.num_bits)
        said = {"format": FORMAT, "num_bits": self.num_bits, "labels": list(self._labels), "model": model}
        self._growing.finish(out, said)

    def __enter__(self) -> IndexWriter:
        self._growing.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        self._growing.__exit__(*error)

    def _add_strings(self, name: str, strings: Sequence[str]) -> None:
        written = [text.encode(errors="backslashreplace") for text in strings]
        if name == "names" and (wrong := [text for text in written if not 0 < len(text) <= LONGEST]):
            raise ValueError(f"a document's name has 1 to {LONGEST:,} bytes, got {len(wrong[0]):,}: {wrong[0][:60]!r}")
        ends = self._ends[name] + np.cumsum([len(text) for text in written], dtype=np.uint64)
        self._grow_strings(name, np.frombuffer(b"".join(written), np.uint8), ends)

    def _copy_strings(self, other: Container, name: str, start: int, stop: int, rows: Bool[np.ndarray, " n"]) -> None:
        ends = other.rows(f"{name}.ends", start, stop).astype(np.int64)
        first = int(other.rows(f"{name}.ends", start - 1, start)[0]) if start else 0
        begins = np.concatenate([[first], ends[:-1]])
        lengths = ends - begins
        if (lengths < 0).any() or first > ends[-1] or ends[-1] > other.shape(f"{name}.bytes")[0]:
            raise other.damaged(f"its {name} end before they begin")
        content = other.rows(f"{name}.bytes", first, int(ends[-1]))[np.repeat(rows, lengths)]
        self._grow_strings(name, content, self._ends[name] + np.cumsum(lengths[rows]).astype(np.uint64))

    def _grow_strings(self, name: str, content: Packed, ends: Array) -> None:
        self._growing.append(f"{name}.bytes", content)
        self._growing.append(f"{name}.ends", ends)
        self._ends[name] = int(ends[-1]) if len(ends) else self._ends[name]

    def _renumbered(self, other: Container, labels: Array) -> Array:
        """Labels of another index as numbers here, which are given in the order in which labels come."""
        numbers, first = np.unique(labels, return_index=True)
        ours = np.zeros(len(other.said["labels"]) + 1, np.uint64)
        if numbers.max(initial=0) >= len(ours):
            raise other.damaged("it has labels without a name")
        for number in numbers[np.argsort(first)].tolist():
            if number:
                ours[number] = self._labels.setdefault(other.said["labels"][number - 1], len(self._labels) + 1)
        return ours[labels]

    def _check_names(self) -> None:
        found = self._growing.written("hashes")
        order = np.argsort(found, kind="stable")
        again = order[1:][found[order[1:]] == found[order[:-1]]]
        if len(again):
            name = self._name(int(again.min()))
            raise ValueError(
                f"{len(again):,} documents have names that others have, such as {name!r}: remove those first, or give "
                "others: by a column `id` of the table, without which rows are numbered, or in Python by names="
            )

    def _name(self, row: int) -> str:
        ends = self._growing.written("names.ends")
        start = int(ends[row - 1]) if row else 0
        return self._growing.written("names.bytes")[start : int(ends[row])].tobytes().decode()


def hashes(names: Iterable[str]) -> NDArray[np.uint64]:
    """A number of 64 bits for each name, by which it is found."""
    digests = [hashlib.blake2b(name.encode(errors="backslashreplace"), digest_size=8).digest() for name in names]
    return np.frombuffer(b"".join(digests), "<u8")


def pack(codes: Bool[np.ndarray, "n m"] | Bool[Tensor, "n m"]) -> Packed:
    """Eight bits a byte, the last byte padded with zeros, which adds nothing to a distance."""
    return np.packbits(np.asarray(codes), axis=1, bitorder="little")


def first_line(text: str) -> str:
    """The first line that has something, cut to what fits a table."""
    line = next((line for line in text.split("\n", 200) if not line.isspace() and line), "")
    return " ".join(line[: 4 * TITLE].split())[:TITLE]
