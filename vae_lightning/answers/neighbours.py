"""Neighbours: codes of some rows and of many -> for each the k nearest among the many."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from vae_lightning.answers.records import Encoded, Nearest

DISTANCES = 1 << 24  # computed at once


def nearest(query: Encoded, among: Encoded, k: int) -> Nearest:
    """By Hamming distance where codes are bits, else by Euclidean distance of the means; ties in the order of `among`.

    ValueError for k < 1, for fewer than k rows, and for codes of other shapes.
    """
    if not 1 <= k <= len(among):
        raise ValueError(f"k, how many rows are looked for, must be 1 to {len(among)}, all of them; got {k}")
    ours, theirs = _flat(query), _flat(among)
    if ours.shape[1] != theirs.shape[1]:
        raise ValueError(f"codes of {ours.shape[1]} entries have no distance to codes of {theirs.shape[1]}")
    norm = 2.0 if query.bits is None else 1.0  # which of bits is how many differ
    found = [_sorted(part, theirs, k, norm) for part in ours.split(max(1, DISTANCES // len(theirs)))]
    distances, rows = (torch.cat(each).numpy() for each in zip(*found, strict=True))
    return Nearest(query.names, np.asarray(among.names)[rows], distances)


def _flat(codes: Encoded) -> Tensor:
    return torch.from_numpy(codes.code.reshape(len(codes), -1)).double()


def _sorted(ours: Tensor, theirs: Tensor, k: int, norm: float) -> tuple[Tensor, Tensor]:
    """Distances and rows, (n, k)."""
    exactly = "donot_use_mm_for_euclid_dist"
    value, row = torch.cdist(ours, theirs, p=norm, compute_mode=exactly).sort(dim=1, stable=True)
    return value[:, :k], row[:, :k]
