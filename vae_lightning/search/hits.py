"""Hits: what a search found, a row a document -> arrays, a frame, one line to look at."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Int

from vae_lightning.answers import Answer


@dataclass(frozen=True, eq=False, repr=False)
class Hits(Answer):
    """The documents nearest to each query, nearest first, ties in the order of the index.

    `query[n]` is the number of the query that row n was found for, `distance[n]` the Hamming distance of their codes in
    bits. Of query q, `tied[q]` more documents are as far as the last one found, and `unknown[q]` are words that the
    model does not know.
    """

    query: Int[np.ndarray, " n"]
    distance: Int[np.ndarray, " n"]
    label: np.ndarray[Any, np.dtype[Any]]
    title: np.ndarray[Any, np.dtype[Any]]
    words: np.ndarray[Any, np.dtype[Any]]
    tied: Sequence[int]
    unknown: Sequence[Sequence[str]]

    def of(self, query: int) -> list[dict[str, Any]]:
        """What was found for one query: plain values by the names of the columns."""
        rows = np.flatnonzero(self.query == query).tolist()
        names = ("distance", "name", "label", "title", "words")
        table = {name: self.table[name] for name in names}
        return [{name: _plain(table[name][row]) for name in names} for row in rows]


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value
