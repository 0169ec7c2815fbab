"""Records: what a model answers, rows by name -> arrays, a frame, one line to look at."""

from __future__ import annotations

import dataclasses
import importlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, TypeVar

import numpy as np
from jaxtyping import Bool, Float
from numpy.typing import NDArray

A = TypeVar("A", bound="Answer")


@dataclass(frozen=True, eq=False, repr=False)
class Answer:
    """N rows: `names[n]` is of row n of every array. `columns` names the entries of x, where the data have names."""

    names: Sequence[str]
    columns: Sequence[str] | None = field(kw_only=True, default=None)

    prefixes: ClassVar[dict[str, str]] = {}
    """What the entries of each array are called in a frame, before their number."""

    def __len__(self) -> int:
        return len(self.names)

    @property
    def arrays(self) -> dict[str, NDArray[Any]]:
        """Those that it has, by name."""
        return {
            each.name: value
            for each in dataclasses.fields(self)
            if isinstance(value := vars(self)[each.name], np.ndarray)
        }

    @property
    def table(self) -> dict[str, Sequence[Any]]:
        """One column for the names and one for each number of a row, in this order."""
        columns: dict[str, Sequence[Any]] = {"name": list(self.names)}
        for array, values in self.arrays.items():
            columns |= dict(zip(self._headers(array), values.reshape(len(self), -1).T, strict=True))
        return columns

    def to_frame(self) -> Any:
        """The table as a DataFrame of pandas, or of polars where there is no pandas; ImportError where neither is."""
        for library in ("pandas", "polars"):
            try:
                return importlib.import_module(library).DataFrame(self.table)
            except ImportError:
                continue
        raise ImportError("to_frame needs pandas or polars: pip install pandas")

    def _headers(self, array: str) -> list[str]:
        values = self.arrays[array]
        if values.ndim == 1:
            return [array]
        prefix, width = self.prefixes.get(array, array), int(np.prod(values.shape[1:]))
        if self.columns is not None and prefix.startswith("{}"):
            return [prefix.format(name) for name in self.columns]
        return [prefix.format(f"{'x' if prefix.startswith('{}') else ''}{number}") for number in range(width)]

    @classmethod
    def joined(cls: type[A], parts: Sequence[A]) -> A:
        """All rows, one part after another."""
        first = parts[0]
        arrays: dict[str, Any] = {name: np.concatenate([part.arrays[name] for part in parts]) for name in first.arrays}
        return dataclasses.replace(first, names=[name for part in parts for name in part.names], **arrays)

    def __repr__(self) -> str:
        shapes = ", ".join(f"{name} {tuple(array.shape)}" for name, array in self.arrays.items())
        return f"{type(self).__name__}({len(self):,} rows: {shapes})"


@dataclass(frozen=True, eq=False, repr=False)
class Encoded(Answer):
    """Codes: the mean of q(z | x), its standard deviation entry by entry, and samples of it if asked for."""

    prefixes: ClassVar[dict[str, str]] = {"mean": "z{}", "sd": "z{}_sd", "samples": "z{}_sample"}
    mean: Float[np.ndarray, "n *Z"]
    sd: Float[np.ndarray, "n *Z"]
    samples: Float[np.ndarray, "n S *Z"] | None = None

    @property
    def bits(self) -> Bool[np.ndarray, "n *Z"]:
        """The most probable code where codes are bits, (N, *Z)."""
        return self.mean > 0.5


@dataclass(frozen=True, eq=False, repr=False)
class Decoded(Answer):
    """Observations: the mean of p(x | z), in the units of the data."""

    prefixes: ClassVar[dict[str, str]] = {"x": "{}"}
    x: Float[np.ndarray, "n *X"]


@dataclass(frozen=True, eq=False, repr=False)
class Scored(Answer):
    """Log p(x) of each row in nats, in the units of the data, with its standard error and effective sample size."""

    log_likelihood: Float[np.ndarray, " n"]
    stderr: Float[np.ndarray, " n"]
    effective_sample_size: Float[np.ndarray, " n"]

    @property
    def anomaly(self) -> Float[np.ndarray, " n"]:
        """-log p(x): the larger, the less such a row is expected."""
        return -self.log_likelihood


@dataclass(frozen=True, eq=False, repr=False)
class Imputed(Answer):
    """Rows with their missing entries filled in, and the standard deviation of each; 0 of what was not missing."""

    prefixes: ClassVar[dict[str, str]] = {"x": "{}", "sd": "{}_sd"}
    x: Float[np.ndarray, "n *X"]
    sd: Float[np.ndarray, "n *X"]
