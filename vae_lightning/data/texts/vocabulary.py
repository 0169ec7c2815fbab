"""Vocabulary: the training documents and a ranking -> the words that are kept, and documents in terms of them."""

from __future__ import annotations

import abc
import hashlib
from collections.abc import Collection, Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from vae_lightning.counts import Counts
from vae_lightning.data.texts.archive import Documents


class Ranking(abc.ABC):
    """How much a vocabulary wants each word."""

    @abc.abstractmethod
    def scores(self, documents: Documents, num_words: int) -> NDArray[np.int64]:
        """(num_words,) whole numbers, larger is better; words that do not occur score 0."""


class ByCount(Ranking):
    """How often a word occurs."""

    def scores(self, documents: Documents, num_words: int) -> NDArray[np.int64]:
        """Occurrences of each word."""
        return np.bincount(documents.words, weights=documents.counts, minlength=num_words).astype(np.int64)


class ByDocuments(Ranking):
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
) -> NDArray[np.int64]:
    """As `choose_words`, or all words there are if they are fewer; each occurs in at least so many documents.

    Raises ValueError if fewer than 2 are asked for.
    """
    if num_words < 2:
        raise ValueError(f"num_words must be at least 2, got {num_words}")
    scores = ranking.scores(documents, len(words))
    scores[ByDocuments().scores(documents, len(words)) < min_documents] = 0
    if stop_words is not None:
        stopped = set(stop_words.words())
        scores[[n for n, word in enumerate(words) if word in stopped]] = 0
    return np.argsort(-scores, kind="stable")[: min(num_words, int((scores > 0).sum()))]


def vocabulary_hash(words: Sequence[str]) -> str:
    """sha256 over the words in their order."""
    return hashlib.sha256("\n".join(words).encode()).hexdigest()


def keep_words(documents: Documents, chosen: NDArray[np.int64], num_words: int) -> Counts:
    """The documents as counts of the chosen words only: word id n is chosen[n]. A document may become empty."""
    new_ids = np.full(num_words, -1, np.int32)
    new_ids[chosen] = np.arange(len(chosen), dtype=np.int32)
    indices = new_ids[documents.words]
    kept = indices >= 0
    offsets = np.concatenate(([0], kept.cumsum(dtype=np.int64)))[documents.offsets]
    values = torch.from_numpy(documents.counts[kept].astype(np.float32))
    boundaries = torch.from_numpy(offsets)
    total = torch.segment_reduce(values, "sum", offsets=boundaries)
    return Counts(torch.from_numpy(indices[kept].astype(np.int64)), boundaries, values, total)
