"""Lookup: codes sorted by pieces of them -> the nearest to a code, exactly, by looking at few.

A code of m bits is cut into s pieces of at most 16 bits. A code whose s pieces all differ from the query's by more than
r bits is at a distance of s (r + 1) or more. So the codes that agree with the query in some piece but for r bits hold
all that are nearer than that, and r grows until k of them are. Source: Norouzi, Punjani and Fleet, Fast Exact Search in
Hamming Space with Multi-Index Hashing (2014), section 3.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from vae_lightning.search.hamming.ranking import Near, Numbers, Packed, hamming, ranked
from vae_lightning.search.hamming.scan import Scan
from vae_lightning.search.storage.container import Container
from vae_lightning.search.storage.growing import Growing

PIECE = 16  # bits of a piece at most
SHARE = 32  # of all codes one is looked at, at random places, in the time that a scan takes for all
_ROWS = 1 << 20  # cut into pieces at once


@dataclass(frozen=True, eq=False)
class Table:
    """Rows in the order of one piece of their codes: those of value v are `order[starts[v]:starts[v + 1]]`."""

    bits: int
    order: Numbers
    starts: Numbers

    def buckets(self, value: int, radius: int) -> tuple[Numbers, Numbers]:
        """Where the rows begin, and end, whose piece differs from the value in so many bits."""
        values = _masks(self.bits, radius) ^ value
        return self.starts[values].astype(np.int64), self.starts[values + 1].astype(np.int64)

    def rows(self, begins: Numbers, ends: Numbers) -> Numbers:
        """The rows of buckets, one after another."""
        sizes = ends - begins
        firsts = np.repeat(begins - (np.cumsum(sizes) - sizes), sizes)
        return self.order[firsts + np.arange(len(firsts))].astype(np.int64)


class Lookup:
    """Exact search, as that of `Scan`; a code that has no near ones is compared with all.

    Args:
        codes: (N, bytes), as `pack` makes them of bits.
        num_bits: m.
        tables: one a piece.
    """

    def __init__(self, codes: Packed, num_bits: int, tables: list[Table]) -> None:
        self._codes, self._cuts, self._tables = codes, cuts(num_bits), tables

    @classmethod
    def of(cls, container: Container, num_bits: int) -> Lookup:
        """The tables of an index; ValueError for some that are not of its codes."""
        codes = container.array("codes")
        tables = []
        for number, (start, stop) in enumerate(cuts(num_bits)):
            order, starts = container.array(f"order{number}"), container.array(f"starts{number}")
            table = Table(stop - start, order, starts)
            if order.shape != codes.shape[:1] or starts.shape != ((1 << table.bits) + 1,):
                raise container.damaged("its tables are not of its codes")
            if starts[-1] != len(order) or (starts[1:] < starts[:-1]).any() or order.max(initial=0) >= len(order):
                raise container.damaged("its tables point beyond its codes")
            tables.append(table)
        return cls(codes, num_bits, tables)

    def nearest(self, codes: Packed, k: int) -> list[Near]:
        """By (distance, row)."""
        pieces = np.stack([pieces_of(codes, *cut) for cut in self._cuts], 1).astype(np.int64)
        k = min(k, len(self._codes))
        return [self._nearest(code, values, k) for code, values in zip(codes, pieces.tolist(), strict=True)]

    def _nearest(self, code: Packed, values: list[int], k: int) -> Near:
        num, looked_at = len(self._tables), 0
        rows: list[Numbers] = []
        distances: list[Numbers] = []
        for radius in range(max(table.bits for table in self._tables) + 1):
            buckets = [table.buckets(value, radius) for table, value in zip(self._tables, values, strict=True)]
            looked_at += sum(int((ends - begins).sum()) for begins, ends in buckets)
            if num > 1 and looked_at * SHARE > len(self._codes):
                break
            found = [table.rows(*bucket) for table, bucket in zip(self._tables, buckets, strict=True)]
            rows.append(np.concatenate(found))
            distances.append(np.full(len(rows[-1]), radius) if num == 1 else hamming(self._codes[rows[-1]], code))
            near = _within(np.concatenate(distances), np.concatenate(rows), num * (radius + 1))
            if len(near[1]) >= k:
                return ranked(*near, k)
        return Scan(self._codes).nearest(code[None], k)[0]


def add_tables(growing: Growing, num_bits: int) -> None:
    """Sort the codes that an index has so far by each of their pieces."""
    codes = growing.written("codes")
    for number, (start, stop) in enumerate(cuts(num_bits)):
        parts = (codes[first : first + _ROWS] for first in range(0, len(codes), _ROWS))
        values = np.concatenate([pieces_of(part, start, stop) for part in parts])
        counts = np.bincount(values, minlength=1 << (stop - start))
        growing.append(f"starts{number}", np.concatenate([[0], counts.cumsum()]).astype(np.uint64))
        order = np.argsort(values, kind="stable")
        for first in range(0, len(order), _ROWS):
            growing.append(f"order{number}", order[first : first + _ROWS].astype(np.uint64))


def cuts(num_bits: int) -> list[tuple[int, int]]:
    """Where each piece begins and ends: as few as have at most 16 bits, about equally long."""
    num = -(-num_bits // PIECE)
    return list(pairwise(num_bits * piece // num for piece in range(num + 1)))


def pieces_of(codes: Packed, start: int, stop: int) -> NDArray[np.uint16]:
    """Bits start to stop of each code as a number."""
    bits = np.unpackbits(codes, axis=1, bitorder="little")[:, start:stop]
    packed = np.packbits(bits, axis=1, bitorder="little").astype(np.uint16)
    return packed[:, 0] if packed.shape[1] == 1 else packed[:, 0] | np.left_shift(packed[:, 1], 8, dtype=np.uint16)


def _within(distances: Numbers, rows: Numbers, bound: int) -> tuple[Numbers, Numbers]:
    """Those that are nearer than the bound, each once."""
    near = distances < bound
    once, first = np.unique(rows[near], return_index=True)
    return distances[near][first], once


@cache
def _masks(bits: int, radius: int) -> Numbers:
    """All numbers of so many bits of which so many are set."""
    every = np.arange(1 << bits)
    return every[np.bitwise_count(every) == radius]
