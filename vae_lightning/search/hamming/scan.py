"""Scan: a code and all codes of an index -> the nearest, by comparing with every one."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import faiss
import numpy as np

from vae_lightning.search.hamming.ranking import Near, Numbers, Packed, ranked

CODES = 1_000_000  # that faiss has in memory at once


class Scan:
    """Exact search by faiss's `IndexBinaryFlat`, a million codes at a time; codes are (N, bytes), mapped or not.

    Examples:
        >>> import numpy as np
        >>> from vae_lightning.search.hamming.scan import Scan
        >>> codes = np.array([[0b0001], [0b0111], [0b0011]], np.uint8)
        >>> (near,) = Scan(codes).nearest(codes[:1], k=2)
        >>> near.rows, near.distances
        (array([0, 2]), array([0, 1]))
    """

    def __init__(self, codes: Packed) -> None:
        self._codes = codes
        self._only = _flat(codes) if len(codes) <= CODES else None

    def nearest(self, codes: Packed, k: int) -> list[Near]:
        """By (distance, row)."""
        k = min(k, len(self._codes))
        if not k:
            return [ranked(np.empty(0, np.int64), np.empty(0, np.int64), 0)] * len(codes)
        reaches = self._reaches(codes, k)
        found: list[list[tuple[Numbers, Numbers]]] = [[] for _ in codes]
        for start, part in self._parts():
            for number, reach in enumerate(reaches):
                _, distances, rows = part.range_search(codes[number : number + 1], int(reach) + 1)
                found[number].append((distances.astype(np.int64), rows + start))
        return [ranked(*_joined(each), k) for each in found]

    def _reaches(self, codes: Packed, k: int) -> Numbers:
        """How far the k-th nearest is of each code."""
        nearest = [part.search(codes, min(k, part.ntotal))[0] for _, part in self._parts()]
        return np.partition(np.concatenate(nearest, 1), k - 1)[:, k - 1]

    def _parts(self) -> Iterator[tuple[int, Any]]:
        if self._only is not None:
            yield 0, self._only
            return
        for start in range(0, len(self._codes), CODES):
            yield start, _flat(self._codes[start : start + CODES])


def _joined(parts: list[tuple[Numbers, Numbers]]) -> tuple[Numbers, Numbers]:
    distances, rows = zip(*parts, strict=True)
    return np.concatenate(distances), np.concatenate(rows)


def _flat(codes: Packed) -> Any:
    index = faiss.IndexBinaryFlat(8 * codes.shape[1])
    index.add(np.ascontiguousarray(codes))
    return index
