"""Splits: labels and a seed -> which rows are for training, validation and test."""

from __future__ import annotations

import torch
from jaxtyping import Int64
from torch import Tensor

from vae_lightning.randomness import derive_seed


def stratified_rows(labels: Int64[Tensor, " N"], sizes: dict[str, int | float], seed: int) -> list[Tensor]:
    """Disjoint rows for each of the named sizes, and then the rest; the first n of each set are a sample of it.

    A size is a share of the N rows if below 1 (at least one row of three or more), else how many. Each label's rows are
    shuffled and spread evenly over one queue, from which the sets are taken in turn: a set does not depend on the sizes
    of those after it, and any part of the queue has the labels in proportion. Who looks at a set's first observations
    alone, as diagnostics do, is not shown the first classes of the file.
    Raises ValueError for sizes that leave nothing for the rest.
    """
    num = len(labels)
    counts = [_count(name, size, num) for name, size in sizes.items()]
    if sum(counts) >= num:
        asked = " and ".join(f"{name} {size}" for name, size in sizes.items())
        raise ValueError(f"{asked} leave nothing of {num} observations for training: ask for less")
    queue = _queue(labels, derive_seed(seed, "stratified split"))
    return list(queue.split([*counts, num - sum(counts)]))


def _count(name: str, size: int | float, num: int) -> int:
    count = _share(num, size) if 0 < size < 1 else size
    if not 0 <= count <= num or count != int(count):
        raise ValueError(f"{name} must be a share in [0, 1) or a whole number up to {num}, got {size}")
    return int(count)


def _share(num: int, share: float) -> int:
    """Rows of a share, at least one where there are three for three sets."""
    return max(round(num * share), int(num > 2))


def _queue(labels: Tensor, seed: int) -> Tensor:
    """Rows in an order whose every part has the labels in proportion, as nearly as whole rows can."""
    generator = torch.Generator().manual_seed(seed)
    shuffled = torch.randperm(len(labels), generator=generator)
    by_label = shuffled[labels[shuffled].argsort(stable=True)]
    _, counts = labels.unique(return_counts=True)
    starts = torch.rand(len(counts), generator=generator, dtype=torch.float64)  # else every label would queue at once
    places = [(torch.arange(int(n)) + start) / n for n, start in zip(counts, starts, strict=True)]
    return by_label[torch.cat(places).argsort(stable=True)]
