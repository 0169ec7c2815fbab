"""Batches: what a loader gives -> the observations in it, their labels if it has any, and both on a device."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from vae_lightning.counts import Counts

Batch = object
"""What a loader hands out: nothing is known of it until `observations` and `labels` have looked."""

CONTRACT = "a batch is x, (x,) or (x, y): x a tensor (B, *X) or a vae_lightning.counts.Counts, y its labels"


def observations(batch: Batch) -> Tensor | Counts:
    """The x of a batch `x`, `(x,)` or `(x, y)`, tuple or list; TypeError for anything else."""
    x = batch[0] if isinstance(batch, tuple | list) and 1 <= len(batch) <= 2 else batch
    if isinstance(x, Tensor | Counts):
        return x
    raise TypeError(f"{CONTRACT}; got {_told(batch)}: give the DataLoader a collate_fn that makes it so")


def labels(batch: Batch) -> Any:
    """The y of a batch `(x, y)`, or None."""
    return batch[1] if isinstance(batch, tuple | list) and len(batch) == 2 else None


def moved(batch: tuple[Tensor | Counts, Tensor], device: torch.device) -> tuple[Tensor | Counts, Tensor]:
    """The batch on a device; nobody waits for that: a GPU takes page-locked memory when it comes to it."""
    x, y = batch
    if device.type == "cuda":
        x, y = x.pin_memory(), y.pin_memory()
    return x.to(device, non_blocking=True), y.to(device, non_blocking=True)


def _told(batch: Batch) -> str:
    kind = type(batch).__name__
    if isinstance(batch, dict):
        return f"a {kind} with the keys {', '.join(map(repr, batch))}"
    if isinstance(batch, tuple | list):
        return f"a {kind} of {len(batch)}: {', '.join(type(part).__name__ for part in batch[:5])}"
    return f"a {kind}"
