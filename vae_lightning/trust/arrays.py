"""kept_arrays: a file that `np.savez` wrote -> its arrays, or None for one that is damaged in any way."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray


def kept_arrays(path: Path) -> dict[str, NDArray[Any]] | None:
    """Every array, its checksum right, no pickled objects, no more memory than the file has bytes.

    A file of this kind is made again where it is not there, and so it is where it cannot be read.
    """
    try:
        with zipfile.ZipFile(path) as file:
            if any(record.compress_type != zipfile.ZIP_STORED for record in file.infolist()):
                return None
        with np.load(path, allow_pickle=False) as arrays:
            return {name: array for name, array in arrays.items() if array.nbytes <= path.stat().st_size}
    except Exception:  # zipfile and NumPy raise all kinds, by what the bytes happen to look like
        return None
