"""Vocabulary: the training documents and a ranking -> the words that are kept, and documents in terms of them."""

from __future__ import annotations

import abc
import hashlib
from collections.abc import Collection, Sequence

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

from vae_lightning.counts import Counts
from vae_lightning.data.growing import Growing
from vae_lightning.data.texts.documents import Documents


class Ranking(abc.ABC):
    """How much a vocabulary wants each word."""

    @abc.abstractmethod
    def scores(self, documents: Documents, num_words: int) -> NDArray[np.int64]:
        """(num_words,) whole numbers, larger is better; words that do not occur score 0."""

    def scores_of(self, documents: Documents, rows: NDArray[np.int64] | None, num_words: int) -> NDArray[np.int64]:
        """The scores of the documents of these rows, or of all."""
        return self.scores(documents if rows is None else documents.select(rows), num_words)


class AddedRanking(Ranking):
    """A ranking whose scores of many documents are the sum of those of each: it takes little memory, however many."""

    def scores_of(self, documents: Documents, rows: NDArray[np.int64] | None, num_words: int) -> NDArray[np.int64]:
        """The sum over all of them, piece by piece."""
        scores = np.zeros(num_words, np.int64)
        for piece in documents.pieces(rows):
            scores += self.scores(piece, num_words)
        return scores


class ByCount(AddedRanking):
    """How often a word occurs."""

    def scores(self, documents: Documents, num_words: int) -> NDArray[np.int64]:
        """Occurrences of each word."""
        return np.bincount(documents.words, weights=documents.counts, minlength=num_words).astype(np.int64)


class ByDocuments(AddedRanking):
    """In how many documents a word occurs."""

    def scores(self, documents: Documents, num_words: int) -> NDArray[np.int64]:
        """Documents that have each word."""
        return np.bincount(documents.words, minlength=num_words).astype(np.int64)


class StopWords(abc.ABC):
    """Words that no vocabulary should have."""

    @abc.abstractmethod
    def words(self) -> Collection[str]:
        """The words, in lower case."""


def choose_words(
    documents: Documents, words: Sequence[str], num_words: int, ranking: Ranking, stop_words: StopWords | None = None
) -> NDArray[np.int64]:
    """Ids of the `num_words` best words that occur, best first; ties are broken by word id, smallest first.

    Raises ValueError if fewer words occur, or fewer than 2 are asked for.
    """
    best = best_words(documents, words, num_words, ranking, stop_words)
    if len(best) < num_words:
        raise ValueError(f"num_words is {num_words}, but only {len(best)} words occur in the training documents")
    return best


def best_words(
    documents: Documents,
    words: Sequence[str],
    num_words: int,
    ranking: Ranking,
    stop_words: StopWords | None = None,
    min_documents: int = 1,
    rows: NDArray[np.int64] | None = None,
) -> NDArray[np.int64]:
    """As `choose_words`, or all words there are if they are fewer; each occurs in at least so many documents.

    Only the documents of these `rows` are looked at, if there are some. ValueError if fewer than 2 are asked for.
    """
    if num_words < 2:
        raise ValueError(f"num_words must be at least 2, got {num_words}")
    scores = ranking.scores_of(documents, rows, len(words))
    scores[ByDocuments().scores_of(documents, rows, len(words)) < min_documents] = 0
    if stop_words is not None:
        stopped = set(stop_words.words())
        scores[[n for n, word in enumerate(words) if word in stopped]] = 0
    return np.argsort(-scores, kind="stable")[: min(num_words, int((scores > 0).sum()))]


def vocabulary_hash(words: Sequence[str]) -> str:
    """sha256 over the words in their order."""
    return hashlib.sha256("\n".join(words).encode()).hexdigest()


def keep_words(
    documents: Documents, chosen: NDArray[np.int64], num_words: int, rows: NDArray[np.int64] | None = None
) -> Counts:
    """The documents, or those of these rows, as counts of the chosen words only: word id n is chosen[n].

    A document may become empty. More than 64 MB are mapped from a file, as `Growing` has it.
    """
    new_ids = np.full(num_words, -1, np.int32)
    new_ids[chosen] = np.arange(len(chosen), dtype=np.int32)
    indices, values, lengths, totals = (Growing(dtype) for dtype in (np.int64, np.float32, np.int64, np.float32))
    for piece in documents.pieces(rows):
        ids = new_ids[piece.words]
        kept = ids >= 0
        offsets = np.concatenate(([0], kept.cumsum(dtype=np.int64)))[piece.offsets]
        counted = piece.counts[kept].astype(np.float32)
        total = torch.segment_reduce(torch.from_numpy(counted), "sum", offsets=torch.from_numpy(offsets))
        for column, part in ((indices, ids[kept]), (values, counted), (lengths, np.diff(offsets)), (totals, total)):
            column.extend(np.asarray(part))
    columns = (torch.from_numpy(column.array()) for column in (indices, lengths, values, totals))
    places, sizes, entries, total = columns
    return Counts(places, F.pad(sizes.cumsum(0), (1, 0)), entries, total)
