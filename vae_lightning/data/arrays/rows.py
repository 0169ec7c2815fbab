"""Rows: an array or a frame of any kind, or a file of one -> a float32 matrix, names of its columns, other columns."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
import scipy.sparse
import torch
from numpy.typing import NDArray
from torch import Tensor

from vae_lightning.data.arrays.numbers import numbers
from vae_lightning.data.arrays.tables import parquet_file, text_rows
from vae_lightning.data.reading import check_file, check_memory, check_unpacked, said

LARGEST_ARRAY = 1 << 36  # bytes of a file of numbers
TABLES = (".csv", ".tsv", ".parquet")
ARRAYS = (".npy", ".npz")
SHOWN = 3  # places of a fault that an error names
INDEX = re.compile(r"|Unnamed: 0(\.\d+)*")  # how pandas writes a frame's index before the columns, and reads it
STORED_INDEX = re.compile(r"__index_level_\d+__")  # how it writes it into a .parquet
SHORT = 64  # characters of a field, up to which all fields of a column take as many bytes as its longest


@runtime_checkable
class Frame(Protocol):
    """A table of pandas or polars: columns by their names."""

    columns: Any

    def __getitem__(self, name: Any, /) -> Any: ...


@runtime_checkable
class ArrowTable(Frame, Protocol):
    """A table of pyarrow, whose `columns` are none of names."""

    column_names: Any


@dataclass(frozen=True, eq=False)
class Rows:
    """N rows: numbers (N, *X); labels, names and splits where there are any; and what the columns are called."""

    x: NDArray[np.float32]
    labels: NDArray[Any] | None = None
    names: list[str] | None = None
    splits: NDArray[Any] | None = None
    feature_names: list[str] | None = None


@dataclass(frozen=True)
class Selection:
    """Which columns of a table are features, by default all but the label, the name and the split of a row."""

    columns: Sequence[str] | None = None
    label: str | None = None
    id: str | None = None
    split: str | None = None

    def of(self, table: Mapping[str, NDArray[Any]], where: str) -> Rows:
        """ValueError names a column that is not there, or one that holds something else than numbers."""
        others = [name for name in (self.label, self.id, self.split) if name is not None]
        features = list(self.columns) if self.columns is not None else _features(table, others, where)
        if missing := [name for name in (*features, *others) if name not in table]:
            raise ValueError(f"{where} has no column {missing[0]!r}, only {', '.join(table)}")
        if not features:
            raise ValueError(f"{where} has no columns of numbers left: name some by data.columns")
        x = np.stack(self._numbers(table, features, where), axis=1)
        labels, names, splits = (None if name is None else table[name] for name in (self.label, self.id, self.split))
        return Rows(x, labels, None if names is None else [str(name) for name in names], splits, features)

    def _numbers(
        self, table: Mapping[str, NDArray[Any]], features: Sequence[str], where: str
    ) -> list[NDArray[np.float32]]:
        """The features; ValueError says what can be done about those that are no numbers."""
        found, text = [], {}
        for name in features:
            try:
                found.append(numbers(table[name], f"{where}, column {name!r}"))
            except ValueError as error:
                text[name] = error
        if not text:
            return found
        first, *others = text
        shown = first or "''"
        more = f" (and so in {', '.join(others[:SHOWN])}{', ...' if len(others) > SHOWN else ''})" if others else ""
        left = [name for name in features if name not in text]
        ways = (
            [f"data.label {shown} if it is a label", f"data.id {shown} if it names the rows"] if len(text) < 3 else []
        )
        ways += [f"data.columns [{', '.join(left)}] to leave it out"] if left else []
        way = f": give {', or '.join(ways)}" if self.columns is None and ways else ""
        raise ValueError(f"{text[first]}{more}{way}")


def _features(table: Mapping[str, NDArray[Any]], others: Sequence[str], where: str) -> list[str]:
    """All columns but some, and but an index; a line says so of that."""
    first = list(takewhile(lambda name: INDEX.fullmatch(name) and _numbers_rows(table[name]), table))
    stored = [name for name in table if STORED_INDEX.fullmatch(name) and _numbers_rows(table[name])]
    features = [name for name in table if name not in others]
    for name in (name for name in (*first, *stored) if name in features):
        from lightning.pytorch.utilities import rank_zero_warn  # which a query has not imported

        features.remove(name)
        rank_zero_warn(
            f"{where}: the column {name!r} holds whole numbers, each another, as a frame's index does, and is left "
            f"out: give --data.id {name!r} to have them as names of the rows, or all features by --data.columns"
        )
    return features


def _numbers_rows(values: NDArray[Any]) -> bool:
    """Whether they are whole numbers, each another."""
    written = [str(value).strip() for value in values.tolist()]
    return all(value.isdecimal() for value in written) and len(set(written)) == len(written)


def rows_of(x: Any, selection: Selection, where: str) -> Rows:
    """Of a frame, whose columns have names, or of any array."""
    if isinstance(x, Frame):
        names = x.column_names if isinstance(x, ArrowTable) else x.columns
        check_names([str(name) for name in names], where)
        return selection.of({str(name): np.asarray(x[name]) for name in names}, where)
    return Rows(dense(x, where))


def rows_in(path: Path, selection: Selection) -> Rows:
    """Of a file; ValueError for an ending that is not known."""
    ending = path.suffix.lower()
    if ending in TABLES:
        return selection.of(columns_of(path), str(path))
    if ending not in ARRAYS:
        raise ValueError(f"{path} has none of the known endings {', '.join((*TABLES, *ARRAYS))}")
    return Rows(dense(array_of(path), str(path)))


def columns_of(path: Path) -> dict[str, NDArray[Any]]:
    """A .csv, .tsv or .parquet file."""
    if path.suffix.lower() == ".parquet":
        with parquet_file(path) as file:
            check_names(file.schema_arrow.names, str(path))
            numbers_of_it = file.metadata.num_rows * len(file.schema_arrow.names)
            check_memory(np.dtype(np.float32).itemsize * numbers_of_it, f"the columns of {path}", "take a part of them")
            try:
                table = file.read()
                return {name: table[name].to_numpy() for name in table.column_names}
            except (OSError, ValueError) as error:  # pyarrow's own errors are some of each
                raise ValueError(f"{path} is no Parquet file: {said(error)}") from error
    names, *rows = text_rows(path)
    check_names(names, str(path))
    if not rows:
        raise ValueError(f"{path} has no rows below the names of its columns")
    return {name: _texts(column) for name, column in zip(names, zip(*rows, strict=True), strict=True)}


def _texts(column: Sequence[str]) -> NDArray[Any]:
    """The fields of a column, in which one that is long takes no room in the others."""
    return np.array(column, str if max(map(len, column)) <= SHORT else object)


def check_names(names: Sequence[str], where: str) -> None:
    """ValueError for two columns of one name, of which one would be lost."""
    if twice := [name for name, times in Counter(names).items() if times > 1]:
        raise ValueError(f"{where} has two columns named {twice[0]!r}: give each a name of its own")


def array_of(path: Path) -> NDArray[Any]:
    """A .npy, or a .npz: its array x, or the only one."""
    check_file(path, LARGEST_ARRAY)
    try:
        check_unpacked(path)
        found = np.load(path, allow_pickle=False)
        if isinstance(found, np.ndarray):
            return found
        with found:
            name = found.files[0] if len(found.files) == 1 else "x"
            if name in found.files and isinstance(array := found[name], np.ndarray):
                return array
            raise ValueError("it holds no array named x, and not a single one of any name")
    except Exception as error:  # zipfile and NumPy raise all kinds, by what the bytes happen to look like
        raise ValueError(f"{path} is no file of an array: {said(error)}") from error


def dense(x: Any, where: str) -> NDArray[np.float32]:
    """Numbers of any kind of array (N, ...) as float32; ValueError for others, for none, and for what is not finite."""
    if isinstance(x, Tensor):
        x = x.detach().cpu()
        values = (x.float() if x.dtype == torch.bfloat16 else x).numpy()
    elif isinstance(x, np.ma.MaskedArray):
        values = np.ma.filled(x.astype(np.float64), np.nan)
    else:
        values = np.asarray(x.toarray() if scipy.sparse.issparse(x) else x)
    rows = numbers(values, where)
    if rows.ndim < 2 or not len(rows):
        raise ValueError(f"{where}: expected rows of numbers (N, ...), got an array of shape {rows.shape}")
    return rows


def check_finite(x: NDArray[np.float32], columns: Sequence[str] | None, where: str, missing: bool = False) -> None:
    """ValueError names rows and columns of what is infinite, or missing unless entries may be."""
    bad = np.argwhere(np.isinf(x) if missing else ~np.isfinite(x))
    if len(bad):
        places = ", ".join(_place(place, columns) for place in bad[:SHOWN])
        more = f" and {len(bad) - SHOWN} more" if len(bad) > SHOWN else ""
        kind = "infinite" if missing else "missing or infinite"
        raise ValueError(
            f"{where}: {len(bad)} of {x.size} numbers are {kind}, at {places}{more}: "
            "leave those rows or columns out, or fill them in"
            + ("" if missing else "; missing=True takes missing ones, with a family that is PartlyObserved")
        )


def _place(place: NDArray[np.int64], columns: Sequence[str] | None) -> str:
    row, *rest = place.tolist()
    told = columns[rest[0]] if columns is not None and len(rest) == 1 else ", ".join(map(str, rest))
    return f"row {row}, column {told}"
