"""Corpus: texts and a tokeniser, or a matrix of counts -> documents in compressed form over one list of words."""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import NamedTuple

import numpy as np
import scipy.sparse
from numpy.typing import NDArray

from vae_lightning.counts import count_rows
from vae_lightning.data.texts.archive import Documents
from vae_lightning.data.texts.tokenizers import Tokenizer

NO_LABEL = -1


class Text(NamedTuple):
    """One document: its name, unique in its source, what is written in it, and its label if it has one."""

    name: str
    text: str
    label: str | None = None


@dataclass(frozen=True, eq=False)
class Corpus:
    """N documents in the order of their source, with their names; labels are ids of `label_names`, -1 without one."""

    documents: Documents
    words: list[str]
    names: list[str]
    label_names: list[str]

    def __len__(self) -> int:
        return len(self.names)


@dataclass
class Counting:
    """Counts words document by document; ids are given to words in the order in which they come."""

    tokenizer: Tokenizer
    ids: dict[str, int] = field(default_factory=dict)
    offsets: array[int] = field(default_factory=lambda: array("q", [0]))
    words: array[int] = field(default_factory=lambda: array("i"))
    counts: array[int] = field(default_factory=lambda: array("i"))

    def add(self, text: str) -> None:
        """One more document."""
        found = Counter(self.tokenizer(text))
        ids = self.ids
        self.words.extend([ids.setdefault(word, len(ids)) for word in found])
        self.counts.extend(found.values())
        self.offsets.append(len(self.words))


def count_words(texts: Iterable[Text], tokenizer: Tokenizer) -> Corpus:
    """Read every text once; words are numbered in alphabetical order, labels too. ValueError for names that repeat."""
    counting, names, labels = Counting(tokenizer), [], []
    for text in texts:
        counting.add(text.text)
        names.append(text.name)
        labels.append(text.label)
    words = sorted(counting.ids)
    places = np.empty(len(words), np.int32)
    places[[counting.ids[word] for word in words]] = np.arange(len(words), dtype=np.int32)
    offsets = np.frombuffer(counting.offsets, np.int64)
    documents = _sorted(
        offsets, places[np.frombuffer(counting.words, np.int32)], np.frombuffer(counting.counts, np.int32)
    )
    return labelled(documents, words, names, labels)


def from_matrix(
    matrix: scipy.sparse.sparray | scipy.sparse.spmatrix,
    words: list[str],
    labels: Sequence[str | None] | None = None,
    names: list[str] | None = None,
) -> Corpus:
    """A documents x words matrix of counts; ValueError for entries that count nothing, or other numbers of words."""
    rows = count_rows(matrix)
    if rows.shape[1] != len(words):
        raise ValueError(f"the matrix has {rows.shape[1]} columns, and the vocabulary {len(words)} words")
    documents = rows.indptr.astype(np.int64), rows.indices.astype(np.int32), rows.data.astype(np.int32)
    names = [str(n) for n in range(rows.shape[0])] if names is None else names
    return labelled(documents, words, names, [None] * len(names) if labels is None else labels)


def labelled(
    documents: tuple[NDArray[np.int64], NDArray[np.int32], NDArray[np.int32]],
    words: list[str],
    names: list[str],
    labels: Sequence[str | None],
) -> Corpus:
    """Number the labels in the order of their names; ValueError for two documents of one name."""
    if len(set(names)) < len(names):
        twice = Counter(names).most_common(1)[0][0]
        raise ValueError(f"two documents are named {twice!r}: names are what answers are told apart by")
    label_names = sorted({label for label in labels if label is not None})
    ids = dict(zip(label_names, count(), strict=False))
    numbers = np.array([NO_LABEL if label is None else ids[label] for label in labels], np.int64)
    return Corpus(Documents(*documents, numbers), words, names, label_names)


def _sorted(
    offsets: NDArray[np.int64], words: NDArray[np.int32], counts: NDArray[np.int32]
) -> tuple[NDArray[np.int64], NDArray[np.int32], NDArray[np.int32]]:
    """Each row in the order of its words."""
    rows = np.repeat(np.arange(len(offsets) - 1), np.diff(offsets))
    order = np.lexsort((words, rows))
    return offsets.copy(), words[order], counts[order]
