"""Rows over processes: gathered from all, also when some have none, and worked on in shares."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.distributed as dist
from torch import Tensor, dtype
from torchmetrics.utilities.distributed import gather_all_tensors


def gather_rows(rows: Tensor, group: dist.ProcessGroup | None = None) -> list[Tensor]:
    """The (n_r, ...) rows of each process r, in order of rank: give it to a Metric as `dist_sync_fn`.

    A process that was given no batch does not know the shape and type of a row, and torchmetrics puts an empty float32
    vector in its place, which the others' rows cannot be gathered with: it takes both from one that knows.
    """
    kinds: list[tuple[tuple[int, ...], dtype] | None] = [None] * dist.get_world_size(group)
    dist.all_gather_object(kinds, (tuple(rows.shape[1:]), rows.dtype) if len(rows) else None, group)
    known = next((kind for kind in kinds if kind is not None), None)
    if known is not None and not len(rows):
        rows = rows.new_empty((0, *known[0]), dtype=known[1])
    return gather_all_tensors(rows, group)


def earliest(limit: int | None, numbers: Tensor, *rows: Tensor) -> list[Tensor]:
    """The first `limit` rows (None: all), in the order of their batches: the same on any number of processes.

    `numbers` (n,) counts each process's batches, process after process: where batches are dealt in turn, sorting by it
    restores the order in which one process sees them.
    """
    order = numbers.argsort(stable=True)[:limit]
    return [each[order] for each in rows]


def check_limit(name: str, limit: int | None) -> None:
    """ValueError unless it is None or at least 1."""
    if limit is not None and limit < 1:
        raise ValueError(f"{name} needs limit >= 1, or None for all rows; got {limit}")


def in_shares(function: Callable[[Tensor], Tensor], rows: Tensor, group: dist.ProcessGroup | None = None) -> Tensor:
    """function(rows), row by row, where every process holds all of the rows and works on its share of them."""
    share = rows.tensor_split(dist.get_world_size(group))[dist.get_rank(group)]
    return torch.cat(gather_all_tensors(function(share), group))
