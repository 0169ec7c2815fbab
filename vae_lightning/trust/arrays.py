"""Arrays -> a file that knows what it holds, and back: all of them as they were, or None."""

from __future__ import annotations

import hashlib
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

_SEAL = "seal"


def keep_arrays(file: BinaryIO, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Write them, with a sha256 over their names, types, shapes and bytes."""
    sealed: dict[str, Any] = {_SEAL: np.array(_sha256(arrays))} | dict(arrays)
    np.savez(file, **sealed)


def kept_arrays(path: Path) -> dict[str, NDArray[Any]] | None:
    """Every array, by the sha256 beside them; no pickled objects, no more memory than the file has bytes.

    None for a file that is damaged in any way, or that is not of `keep_arrays`: it is made again where it is not there,
    and so it is where it cannot be read.
    """
    try:
        with zipfile.ZipFile(path) as file:
            if any(record.compress_type != zipfile.ZIP_STORED for record in file.infolist()):
                return None
        with np.load(path, allow_pickle=False) as found:
            arrays = {name: array for name, array in found.items() if array.nbytes <= path.stat().st_size}
        seal = str(arrays.pop(_SEAL))
        return arrays if seal == _sha256(arrays) else None
    except Exception:  # zipfile and NumPy raise all kinds, by what the bytes happen to look like
        return None


def _sha256(arrays: Mapping[str, NDArray[Any]]) -> str:
    digest = hashlib.sha256()
    for name, array in sorted(arrays.items()):
        digest.update(f"{name} {array.dtype.str} {array.shape} ".encode())
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()
