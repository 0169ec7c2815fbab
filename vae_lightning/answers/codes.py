"""Codes: an array, a frame, a file or an answer of `encode` -> named codes to decode."""

from __future__ import annotations

import operator
import sys
from collections.abc import Sequence
from math import prod
from pathlib import Path
from typing import Any, overload

import numpy as np
import torch
from numpy.typing import NDArray

from vae_lightning.answers.records import Encoded
from vae_lightning.data.arrays.preparation import RowPreparation
from vae_lightning.data.arrays.rows import ARRAYS, LARGEST_ARRAY, Frame
from vae_lightning.data.loaders import Observations
from vae_lightning.data.preparation import Prepared, prepared
from vae_lightning.data.reading import check_file, check_unpacked, said, user_path

STORED = ("bits", "mean", "z", "x")
"""Under which names a .npz may have them, the first that is there first."""


def read_codes(z: Any, shape: Sequence[int]) -> Prepared:
    """Codes (N, *Z) of this shape by name; ValueError, in one line, for codes of another shape.

    A table has them as columns z0, z1, ..., and perhaps `name`, as `encode` writes it.
    """
    if isinstance(z, Encoded):
        return _checked(z.code, list(z.names), shape, "z")
    if isinstance(z, str | Path):
        path = user_path(z)
        if path.suffix.lower() in ARRAYS:
            return _checked(*_stored(path), shape, str(path))
    if isinstance(z, str | Path | Frame):
        columns = [f"z{number}" for number in range(prod(shape))]
        found = RowPreparation([prod(shape)], columns, id="name").read(z)
        x = found.observations.x
        assert isinstance(x, torch.Tensor), "rows of numbers are dense"
        return prepared(x.reshape(len(found), *shape), found.names)
    return _checked(z.detach().cpu().numpy() if isinstance(z, torch.Tensor) else np.asarray(z), None, shape, "z")


def between(a: Encoded, b: Encoded, steps: int) -> Prepared:
    """So many codes on the straight line from each code of a to that of b, one line after another.

    ValueError for fewer than 2 steps, and for other numbers of codes.
    """
    if steps < 2:
        raise ValueError(f"interpolate needs at least 2 steps, the two ends; got {steps}")
    if len(a) != len(b):
        raise ValueError(f"interpolate goes from each row of a to that of b, got {len(a)} and {len(b)} rows")
    share = np.linspace(0, 1, steps, dtype=a.mean.dtype).reshape(1, steps, *[1] * (a.mean.ndim - 1))
    z = ((1 - share) * a.mean[:, None] + share * b.mean[:, None]).reshape(-1, *a.mean.shape[1:])
    pairs = zip(a.names, b.names, strict=True)
    return prepared(torch.from_numpy(z), [f"{one} to {other}, {step}" for one, other in pairs for step in range(steps)])


def blank(n: int) -> Prepared:
    """N rows of nothing, for what a model answers of itself, in no more memory than one; ValueError for n < 1."""
    n = how_many(n, 1)
    none = torch.tensor([-1]).expand(n)
    return Prepared(Numbers(n), Observations(torch.empty(n, 0), none, none))


def how_many(n: int, least: int) -> int:
    """N rows to draw; ValueError for fewer than that, for more than can be counted, and for what is no whole number."""
    try:
        whole = operator.index(n)
    except TypeError:
        whole = -1
    if not least <= whole <= sys.maxsize:
        raise ValueError(f"n, how many rows to draw, must be a whole number from {least} to 2^63 - 1; got {n!r}")
    return whole


class Numbers(Sequence[str]):
    """The names of n rows that have none, their numbers, each made when it is asked for."""

    def __init__(self, n: int) -> None:
        self._numbers = range(n)

    def __len__(self) -> int:
        return len(self._numbers)

    @overload
    def __getitem__(self, at: int) -> str: ...

    @overload
    def __getitem__(self, at: slice) -> list[str]: ...

    def __getitem__(self, at: int | slice) -> str | list[str]:
        """Of one row, or of several."""
        return str(self._numbers[at]) if isinstance(at, int) else [str(number) for number in self._numbers[at]]


def _checked(z: NDArray[Any], names: Sequence[str] | None, shape: Sequence[int], where: str) -> Prepared:
    if z.shape[1:] != tuple(shape) or z.dtype.kind not in "biuf":
        expected = ", ".join(map(str, ("N", *shape)))
        raise ValueError(f"{where}: the model decodes codes ({expected}), got {z.dtype} of shape {z.shape}")
    return prepared(torch.from_numpy(z.astype(np.float32)), names)


def _stored(path: Path) -> tuple[NDArray[Any], Sequence[str] | None]:
    """The codes of a .npy or .npz, and their names where it has them."""
    check_file(path, LARGEST_ARRAY)
    try:
        check_unpacked(path)
        found = np.load(path, allow_pickle=False)
        if isinstance(found, np.ndarray):
            return found, None
        with found:
            name = found.files[0] if len(found.files) == 1 else next(n for n in STORED if n in found.files)
            return found[name], found["names"].tolist() if "names" in found.files else None
    except StopIteration as error:
        raise ValueError(f"{path} has no codes: expected an array named {', '.join(STORED)}") from error
    except Exception as error:  # zipfile and NumPy raise all kinds, by what the bytes happen to look like
        raise ValueError(f"{path} is no file of an array: {said(error)}") from error
