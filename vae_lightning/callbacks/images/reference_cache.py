"""ReferenceCache: one side's features -> a file that is named after all they depend on, and read instead."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from vae_lightning.files import atomic_write
from vae_lightning.metrics.functional.scatter import Scatter
from vae_lightning.metrics.images.feature_sample import FeatureSample
from vae_lightning.trust import keep_arrays, kept_arrays

FORMAT = 2  # raise it when what is stored changes


class ReferenceCache:
    """Files `features-....npz` in a folder; what is damaged, or of another description, counts as not there."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def load(self, description: dict[str, Any]) -> FeatureSample | None:
        """What was saved under this description, if anything was."""
        key = _key(description)
        arrays = kept_arrays(self._path(key)) or {}
        if set(arrays) != {"key", *FIELDS} or str(arrays["key"]) != key:
            return None
        if any(arrays[name].dtype.kind not in "iuf" for name in FIELDS):
            return None
        count, mean, matrix, rows, keys = (torch.from_numpy(arrays[name]) for name in FIELDS)
        whole = count.ndim == 0 and matrix.shape == 2 * mean.shape and rows.shape == (len(keys), *mean.shape)
        return FeatureSample(Scatter(count, mean, matrix), rows, keys) if whole and mean.ndim == 1 else None

    def save(self, description: dict[str, Any], sample: FeatureSample) -> None:
        """Atomically, or not at all where the folder cannot be written: then they are computed again."""
        key, scatter = _key(description), sample.scatter
        values = (scatter.count, scatter.mean, scatter.matrix, sample.rows, sample.keys)
        arrays = {name: _array(value) for name, value in zip(FIELDS, values, strict=True)}
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            if os.access(self.folder, os.W_OK):
                with atomic_write(self._path(key)) as file:
                    keep_arrays(file, {"key": np.array(key)} | arrays)
        except OSError:
            return

    def _path(self, key: str) -> Path:
        return self.folder / f"features-{hashlib.sha256(key.encode()).hexdigest()[:16]}.npz"


FIELDS = ("count", "mean", "matrix", "rows", "keys")


def _key(description: dict[str, Any]) -> str:
    return json.dumps({"format": FORMAT} | description, sort_keys=True)


def _array(value: Tensor) -> Any:
    return value.detach().cpu().numpy()
