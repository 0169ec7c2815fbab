"""Ranking: distances of documents -> the k nearest, ties in the order of the documents."""

from __future__ import annotations

from typing import Any, NamedTuple, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.integer[Any]]
Packed = NDArray[np.uint8]


class Near(NamedTuple):
    """The nearest rows to one code, nearest first, their distances, and how many more tie at the last distance."""

    distances: Numbers
    rows: Numbers
    tied: int


@runtime_checkable
class Finder(Protocol):
    """Finds codes among many."""

    def nearest(self, codes: Packed, k: int) -> list[Near]:
        """The k nearest rows, or all if they are fewer, to each code, (Q, bytes)."""


def ranked(distances: Numbers, rows: Numbers, k: int) -> Near:
    """The k nearest of these rows, or all if they are fewer: by (distance, row)."""
    k = min(k, len(rows))
    if not k:
        return Near(distances[:0], rows[:0], 0)
    reach = np.partition(distances, k - 1)[k - 1]
    nearer, at = distances < reach, np.sort(rows[distances == reach])
    left = k - int(nearer.sum())
    found = np.concatenate([distances[nearer], np.full(left, reach, distances.dtype)])
    places = np.concatenate([rows[nearer], at[:left]])
    order = np.lexsort((places, found))
    return Near(found[order], places[order], len(at) - left)


def without(near: Near, row: int) -> Near:
    """Of the k + 1 nearest to a row, the k nearest but itself."""
    own = near.rows == row
    if own.any():
        kept = ~own
        return Near(near.distances[kept], near.rows[kept], near.tied if kept.any() else 0)
    return Near(near.distances[:-1], near.rows[:-1], near.tied)  # itself is among those that tie


def hamming(codes: Packed, code: Packed) -> Numbers:
    """How many bits of each code, (n, bytes), are not those of one."""
    width = codes.shape[1]
    if width in (2, 4, 8) and codes.flags.c_contiguous:
        kind = f"<u{width}"
        return np.bitwise_count(codes.view(kind)[:, 0] ^ code.view(kind)[0])
    return np.bitwise_count(codes ^ code).sum(1, dtype=np.uint16)
