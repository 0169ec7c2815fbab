"""Tables: a .csv, .tsv or .parquet -> its rows, within stated bounds, or one line that says why not."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any, TextIO

from vae_lightning.data.reading import check_file, said

LARGEST_TABLE = 1 << 38  # bytes of a file, which is read row by row
LONGEST_FIELD = 1 << 27  # characters

csv.field_size_limit(LONGEST_FIELD)


def text_rows(path: Path) -> Iterator[list[str]]:
    """The rows of a .csv (, or ;) or .tsv in UTF-8, read one by one; the first names columns, all are as long as it.

    Blank lines are no rows, as other readers have it: the one field of a table of one column is empty where it is "".
    """
    check_file(path, LARGEST_TABLE)
    with path.open(encoding="utf-8-sig", newline="") as file:
        try:
            rows = filter(None, csv.reader(file, delimiter=_delimiter(path, file), strict=True))
            yield (names := next(rows, []))
            for number, row in enumerate(rows):
                if len(row) != len(names):
                    raise ValueError(
                        f"{path}, row {number}: expected {len(names)} fields, as in the first line, got {len(row)}"
                    )
                yield row
        except UnicodeDecodeError as error:
            raise ValueError(f"{path}: expected UTF-8 text, got other bytes: save it as UTF-8") from error
        except csv.Error as error:
            raise ValueError(f"{path} is no table of text: {said(error)}") from error


def _delimiter(path: Path, file: TextIO) -> str:
    """A tab in a .tsv; in a .csv a comma, or a semicolon where the names of the columns have that and no comma."""
    if path.suffix.lower() == ".tsv":
        return "\t"
    names = file.readline(LONGEST_FIELD)
    file.seek(0)
    return ";" if ";" in names and "," not in names else ","


def parquet_file(path: Path) -> Any:
    """pyarrow's ParquetFile; ValueError for a file that is none, and, with the way to get it, where pyarrow is not."""
    check_file(path, LARGEST_TABLE)
    try:
        parquet = import_module("pyarrow.parquet")
    except ImportError as error:
        raise ValueError(f"{path} needs pyarrow: pip install vae-lightning[text]") from error
    try:
        return parquet.ParquetFile(path)
    except (OSError, ValueError) as error:  # pyarrow's own errors are some of each
        raise ValueError(f"{path} is no Parquet file: {said(error)}") from error
