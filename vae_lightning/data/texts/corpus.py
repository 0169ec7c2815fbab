"""Corpus: texts and a tokeniser, or a matrix of counts -> documents in compressed form over one list of words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import count
from typing import NamedTuple

import numpy as np
import scipy.sparse

from vae_lightning.counts import count_rows
from vae_lightning.data.texts.counting import Counting, Merging, Rows, watched
from vae_lightning.data.texts.documents import Documents
from vae_lightning.data.texts.tokenizers import Tokenizer
from vae_lightning.data.workers import in_order

NO_LABEL = -1
PIECE = 1 << 22  # characters counted at once, which bounds the memory


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


def count_words(texts: Iterable[Text], tokenizer: Tokenizer, size: int | None = None) -> Corpus:
    """Read every text once, and count on all cores; words are numbered in alphabetical order, labels too.

    `size` is how many characters there will be, roughly, for the progress bar. ValueError for names that repeat.
    """
    names: list[str] = []
    labels: list[str | None] = []
    merging = Merging()
    for part in watched(in_order(Counting(tokenizer), _pieces(texts, names, labels)), size):
        merging.add(part)
    words, documents = merging.documents()
    return labelled(documents, words, names, labels)


def _pieces(texts: Iterable[Text], names: list[str], labels: list[str | None]) -> Iterator[list[str]]:
    """Some million characters at a time; names and labels are kept here."""
    piece: list[str] = []
    size = 0
    for name, text, label in texts:
        names.append(name)
        labels.append(label)
        piece.append(text)
        size += len(text)
        if size >= PIECE:
            yield piece
            piece, size = [], 0
    if piece:
        yield piece


def from_matrix(
    matrix: scipy.sparse.sparray | scipy.sparse.spmatrix,
    words: list[str],
    labels: Sequence[str | None] | None = None,
    names: list[str] | None = None,
) -> Corpus:
    """A documents x words matrix of counts.

    ValueError for entries that count nothing, other numbers of words, and a word that stands twice.
    """
    rows = count_rows(matrix)
    if rows.shape[1] != len(words):
        raise ValueError(f"the matrix has {rows.shape[1]} columns, and the vocabulary {len(words)} words")
    if len(set(words)) < len(words):
        twice = Counter(words).most_common(1)[0][0]
        raise ValueError(f"the vocabulary has the word {twice!r} twice: other texts could be counted under one alone")
    documents = rows.indptr.astype(np.int64), rows.indices.astype(np.int32), rows.data.astype(np.int32)
    names = [str(n) for n in range(rows.shape[0])] if names is None else names
    return labelled(documents, words, names, [None] * len(names) if labels is None else labels)


def labelled(
    documents: Rows,
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
