"""Records: what a model answers, rows by name -> arrays, a frame, one line to look at."""

from __future__ import annotations

import dataclasses
import importlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, TypeVar

import numpy as np
from jaxtyping import Bool, Float
from numpy.typing import NDArray

from vae_lightning.answers.shown import shown

A = TypeVar("A", bound="Answer")


@dataclass(frozen=True, eq=False, repr=False)
class Answer:
    """N rows: `names[n]` is of row n of every array. `columns` names the entries of x, where the data have names.

    Its `repr` is one line; `print` shows the first rows.
    """

    names: Sequence[str]
    columns: Sequence[str] | None = field(kw_only=True, default=None)

    prefixes: ClassVar[Mapping[str, str]] = {}
    """What the entries of each array are called in a table, before their number."""

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
    def tabled(self) -> Sequence[str]:
        """Which arrays a table shows, in this order."""
        return list(self.arrays)

    @property
    def table(self) -> dict[str, NDArray[Any]]:
        """One column for the names and one for each number of a row, in this order.

        Columns of the data keep their names; any other of the same name has `_` behind it.
        """
        names = [str(name).encode(errors="backslashreplace").decode() for name in self.names]  # of files in any bytes
        columns = {_free("name", set(self.columns or ())): np.array(names, np.str_)}
        for array in self.tabled:
            values = self.arrays[array]
            values = values.reshape(len(self), math.prod(values.shape[1:])).T  # -1 is not known of no rows
            columns |= dict(zip(self._headers(array), values, strict=True))
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
        values, prefix, taken = self.arrays[array], self.prefixes.get(array, array), set(self.columns or ())
        if values.ndim == 1:
            return [_free(array, taken)]
        of_x, width = prefix.startswith("{}"), int(np.prod(values.shape[1:]))
        if of_x and self.columns is not None:
            return [name if prefix == "{}" else _free(prefix.format(name), taken) for name in self.columns]
        return [prefix.format(f"x{number}" if of_x else number) for number in range(width)]

    @classmethod
    def joined(cls: type[A], parts: Sequence[A]) -> A:
        """All rows, one part after another."""
        first = parts[0]
        arrays: dict[str, Any] = {name: np.concatenate([part.arrays[name] for part in parts]) for name in first.arrays}
        return dataclasses.replace(first, names=[name for part in parts for name in part.names], **arrays)

    def __repr__(self) -> str:
        shapes = ", ".join(f"{name} {tuple(array.shape)}" for name, array in self.arrays.items())
        return f"{type(self).__name__}({len(self):,} rows: {shapes})"

    def __str__(self) -> str:
        return shown(self.table)


def _free(name: str, taken: set[str]) -> str:
    """The name, or a longer one if a column of the data has it."""
    while name in taken:
        name += "_"
    return name


@dataclass(frozen=True, eq=False, repr=False)
class Encoded(Answer):
    """Codes: the mean of q(z | x), its standard deviation entry by entry, and samples of it if asked for.

    `bits` is the most probable code, where codes are independent bits; None otherwise. In a table z0, z1, ... are
    the bits, or else the mean.
    """

    mean: Float[np.ndarray, "n *Z"]
    sd: Float[np.ndarray, "n *Z"]
    bits: Bool[np.ndarray, "n *Z"] | None = None
    samples: Float[np.ndarray, "n S *Z"] | None = None

    @property
    def code(self) -> NDArray[Any]:
        """The one code that stands for each row, (N, *Z): its bits, or else its mean."""
        return self.mean if self.bits is None else self.bits

    @property
    def tabled(self) -> Sequence[str]:
        """The code first."""
        return sorted(self.arrays, key=lambda name: self.arrays[name] is not self.code)

    @property
    def prefixes(self) -> Mapping[str, str]:  # type: ignore[override]
        """Those of the code are its numbers alone."""
        mean = "z{}" if self.bits is None else "z{}_mean"
        return {"bits": "z{}", "mean": mean, "sd": "z{}_sd", "samples": "z{}_sample"}


@dataclass(frozen=True, eq=False, repr=False)
class Decoded(Answer):
    """Observations in the units of the data; of documents, also as `text`, which a table shows in place of counts."""

    prefixes: ClassVar[Mapping[str, str]] = {"x": "{}"}
    x: Float[np.ndarray, "n *X"]
    text: NDArray[Any] | None = None

    @property
    def tabled(self) -> Sequence[str]:
        """The text, if there is one."""
        return ["x"] if self.text is None else ["text"]


@dataclass(frozen=True, eq=False, repr=False)
class Scored(Answer):
    """Log p(x) of each row in nats, in the units of the data, with its standard error and effective sample size.

    An exact figure has error 0 and infinitely many samples.
    """

    log_likelihood: Float[np.ndarray, " n"]
    stderr: Float[np.ndarray, " n"]
    effective_sample_size: Float[np.ndarray, " n"]

    @property
    def anomaly(self) -> Float[np.ndarray, " n"]:
        """-log p(x): the larger, the less such a row is expected."""
        return -self.log_likelihood


@dataclass(frozen=True, eq=False, repr=False)
class Anomalies(Answer):
    """-log p(x) of each row in nats, with its standard error: the larger, the less such a row is expected."""

    anomaly: Float[np.ndarray, " n"]
    stderr: Float[np.ndarray, " n"]
    effective_sample_size: Float[np.ndarray, " n"]


@dataclass(frozen=True, eq=False, repr=False)
class Imputed(Answer):
    """Rows with their missing entries filled in: by their mean given the others, or the most probable category.

    `sd` is the standard deviation of a missing entry given the others, `stderr` the standard error of its mean over
    the samples: how far it may be off because these are few. Both are 0 of what was not missing.
    """

    prefixes: ClassVar[Mapping[str, str]] = {"x": "{}", "sd": "{}_sd", "stderr": "{}_stderr"}
    x: Float[np.ndarray, "n *X"]
    sd: Float[np.ndarray, "n *X"]
    stderr: Float[np.ndarray, "n *X"]
    effective_sample_size: Float[np.ndarray, " n"]


@dataclass(frozen=True, eq=False, repr=False)
class Nearest(Answer):
    """The k rows whose codes are nearest to that of each row, nearest first: their names, and how far they are."""

    neighbours: NDArray[Any]
    distances: Float[np.ndarray, "n k"]

    prefixes: ClassVar[Mapping[str, str]] = {"neighbours": "neighbour{}", "distances": "distance{}"}
