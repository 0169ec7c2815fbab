"""Splits: what the official list says of each face, and sizes -> which faces are for training, validation and test."""

from __future__ import annotations

import torch
from jaxtyping import Int64
from torch import Tensor

from vae_lightning.data.splits import stratified_rows

NUMBERS = {"val_size": 1, "test_size": 2}  # how the list calls these splits


def face_rows(official: Int64[Tensor, " N"], sizes: dict[str, int | float], seed: int) -> tuple[Tensor, Tensor, Tensor]:
    """Rows for training, validation and test, shuffled by seed; `official` is 0, 1 or 2 for these, -1 if not known.

    What the list puts into validation or test is there. Where it puts nothing, `val_size` or `test_size` of the others
    are cut by seed. ValueError if that leaves nothing for training.
    """
    free = ((official < 1) | (official > 2)).nonzero().flatten()
    if not len(free):
        raise ValueError(f"the list of splits has none of these {len(official):,} faces for training: give others")
    told = {name: (official == number).nonzero().flatten() for name, number in NUMBERS.items()}
    cut = {name: size for name, size in sizes.items() if not len(told[name])}
    *parts, train = _shuffled(free, cut, seed)
    found = dict(zip(cut, parts, strict=True))
    rows = {name: found[name] if name in found else _shuffled(told[name], {}, seed)[0] for name in NUMBERS}
    return train, rows["val_size"], rows["test_size"]


def _shuffled(rows: Tensor, sizes: dict[str, int | float], seed: int) -> list[Tensor]:
    """Parts of these sizes, and the rest."""
    same = torch.zeros(len(rows), dtype=torch.int64)
    return [rows[part] for part in stratified_rows(same, sizes, seed)]
