"""Annotations: CelebA's lists of attributes and of splits, as text or CSV, packed or not -> one row for each face."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from itertools import chain, count
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Int64, UInt8
from torch import Tensor

from vae_lightning.data.reading import check_file

LARGEST = 1 << 28  # bytes of a list; that of all attributes has 27 million
LONGEST = 4096  # bytes of a line
MOST = 1 << 22  # lines
SPLITS = {"0": 0, "1": 1, "2": 2}  # training, validation and test
SIGNS = {"-1": 0, "0": 0, "1": 1}  # whether a face has an attribute
_ENDINGS = (".txt", ".txt.gz", ".csv", ".csv.gz")
_SHOWN = 3
_CSV = "image_id"  # how the head of a CSV begins
Line = tuple[int, list[str]]


def annotation(places: Sequence[Path], stem: str) -> Path | None:
    """The list of this name in the first of the folders that has one, however it ends."""
    for place in places:
        for path in sorted(place.glob(f"{stem}*")):
            if path.name.endswith(_ENDINGS) and path.is_file():
                return path
    return None


@dataclass
class Table:
    """What a list says of some faces: `values` (N, K) of `names`, and which faces it has."""

    names: list[str]
    values: UInt8[np.ndarray, "N K"]
    has: np.ndarray = field(repr=False)


def attributes_of(path: Path, faces: Sequence[str], chosen: Sequence[str] | None) -> tuple[list[str], Tensor]:
    """The chosen attributes' names and (N, L) of 0 and 1, all of them for None; faces are file names.

    ValueError for a list that is damaged or of another length than it says, an attribute that it does not have, and
    faces that it does not have.
    """
    table = _table(path, faces, SIGNS, named=True)
    if not table.has.all():
        absent = [faces[int(row)] for row in np.flatnonzero(~table.has)]
        told = ", ".join(absent[:_SHOWN]) + ", ..." * (len(absent) > _SHOWN)
        raise ValueError(
            f"{path} has no row for {len(absent):,} of {len(faces):,} faces ({told}): "
            "give the list of these faces, or set data.attributes to [] to go without"
        )
    names = table.names if chosen is None else list(chosen)
    if unknown := [name for name in names if name not in table.names]:
        raise ValueError(f"{path} has no attribute {unknown[0]}: it has {', '.join(table.names)}")
    columns = [table.names.index(name) for name in names]
    return names, torch.from_numpy(np.ascontiguousarray(table.values[:, columns]))


def splits_of(path: Path, faces: Sequence[str]) -> Int64[Tensor, " N"]:
    """0 for training, 1 for validation, 2 for test, and -1 for faces that the list does not have."""
    table = _table(path, faces, SPLITS, named=False)
    return torch.from_numpy(np.where(table.has, table.values[:, 0].astype(np.int64), -1))


def _table(path: Path, faces: Sequence[str], kinds: dict[str, int], named: bool) -> Table:
    stems = [face.rpartition(".")[0] or face for face in faces]  # files may be .jpg here and .png there
    place = {stem: row for row, stem in enumerate(stems)}  # of several faces of one name, the last one's
    with closing(_lines(path)) as lines:
        announced, names, rest = _head(path, lines, named)
        values, has, rows = np.zeros((len(faces), len(names)), np.uint8), np.zeros(len(faces), bool), 0
        for number, fields in rest:
            rows += 1
            if (row := place.get(fields[0].rpartition(".")[0] or fields[0])) is not None:
                values[row], has[row] = _row(path, number, fields, len(names), kinds), True
    if announced is not None and rows != announced:
        raise ValueError(f"{path} has {rows:,} rows, but says that they are {announced:,}: give the whole list")
    last = np.array([place[stem] for stem in stems], dtype=np.int64)
    return Table(names, values[last], has[last])


def _head(path: Path, lines: Iterator[Line], named: bool) -> tuple[int | None, list[str], Iterator[Line]]:
    """How many rows the list says it has, the names of its columns, and its rows."""
    try:
        first = next(lines)
        announced = int(first[1][0]) if len(first[1]) == 1 and first[1][0].isdecimal() else None
        first = first if announced is None else next(lines)
    except StopIteration:
        raise ValueError(f"{path} is empty: give the whole list") from None
    if named or first[1][:1] == [_CSV]:
        return announced, first[1][first[1][:1] == [_CSV] :], lines
    return announced, ["partition"], chain([first], lines)


def _row(path: Path, number: int, fields: list[str], columns: int, kinds: dict[str, int]) -> list[int]:
    """The values of a face; ValueError for more or less of them, or others."""
    if len(fields) != 1 + columns:
        raise ValueError(f"{path}, line {number}: expected a face and {columns} values, got {len(fields)} fields")
    try:
        return [kinds[value] for value in fields[1:]]
    except KeyError as error:
        raise ValueError(f"{path}, line {number}: expected {', '.join(kinds)}, got {error.args[0]!r}") from None


def _lines(path: Path) -> Generator[Line, None, None]:
    """Number and fields of each line that has any; ValueError for what is no list, or longer than any is."""
    check_file(path, LARGEST)
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as stream:
            for number in count(1):
                line = stream.readline(LONGEST + 1)
                if len(line) > LONGEST or number > MOST:
                    raise ValueError(
                        f"{path}, line {number}: a line has at most {LONGEST:,} bytes, a list {MOST:,} lines"
                    )
                if not line:
                    return
                if number == 1 and line.lstrip().startswith(b"<"):
                    raise ValueError(f"{path} is a web page, not the list: download it again")
                if fields := line.decode("utf-8-sig").replace(",", " ").split():
                    yield number, fields
    except (OSError, EOFError, zlib.error, UnicodeDecodeError) as error:
        raise ValueError(f"cannot read {path} ({error}): give the whole list, as text or packed by gzip") from error
