"""Shown: a table by columns -> its first rows and columns as plain text."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

ROWS, COLUMNS, WIDTH = 10, 8, 60
"""How many rows and columns are shown, and characters of an entry."""


def shown(table: Mapping[str, NDArray[Any]], rows: int = ROWS, total: int | None = None) -> str:
    """The first rows, numbers to four digits, and a line that says how many rows and columns more there are."""
    names = list(table)[:COLUMNS]
    there = len(next(iter(table.values())))
    columns = [[name, *map(_entry, table[name][:rows])] for name in names]
    widths = [max(map(len, column)) for column in columns]
    numbers = [table[name].dtype.kind != "U" for name in names]
    lines = [
        "  ".join(
            entry.rjust(width) if right else entry.ljust(width)
            for entry, width, right in zip(row, widths, numbers, strict=True)
        ).rstrip()
        for row in zip(*columns, strict=True)
    ]
    return "\n".join([*lines, *_more((total or there) - rows, len(table) - len(names))])


def _entry(value: object) -> str:
    if isinstance(value, float | np.floating):
        return f"{value:.4g}"
    if isinstance(value, bool | np.bool_):
        return str(int(value))
    text = str(value)
    return text if len(text) <= WIDTH else f"{text[: WIDTH - 3]}..."


def _more(rows: int, columns: int) -> list[str]:
    more = [f"{count:,} more {what}" for count, what in ((rows, "rows"), (columns, "columns")) if count > 0]
    return [f"... {' and '.join(more)}"] if more else []
