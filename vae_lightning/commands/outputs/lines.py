"""Lines: answers -> .csv, .tsv and .jsonl, a line a row."""

from __future__ import annotations

import csv
import io
import json
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from vae_lightning.answers import Answer
from vae_lightning.commands.outputs.base import Output


class Delimited(Output):
    """Columns by name in the first line; numbers by as few digits as give them back bit for bit, bits as 0 and 1."""

    delimiter = ","

    def __init__(self, file: BinaryIO) -> None:
        super().__init__(file)
        self.text = io.TextIOWrapper(file, encoding="utf-8", newline="")
        self.rows = csv.writer(self.text, delimiter=self.delimiter)
        self.begun = False

    def write(self, part: Answer) -> None:
        """The next rows."""
        table = part.table
        if not self.begun:
            self.rows.writerow(table)
            self.begun = True
        self.rows.writerows(zip(*map(_texts, table.values()), strict=True))

    def finish(self) -> None:
        """Write what is waiting."""
        self.text.flush()

    def release(self) -> None:
        """Leave the file open."""
        self.text.detach()


class TabDelimited(Delimited):
    """The same with tabs."""

    delimiter = "\t"


class JSONLines(Output):
    """One JSON object a row, by the names of the columns; null for what is not finite, for which JSON has no word."""

    def write(self, part: Answer) -> None:
        """The next rows."""
        table = part.table
        columns = [[_plain(value) for value in column] for column in table.values()]
        for row in zip(*columns, strict=True):
            line = json.dumps(dict(zip(table, row, strict=True)), ensure_ascii=False, allow_nan=False)
            self.file.write(f"{line}\n".encode())

    def finish(self) -> None:
        """Nothing waits."""


def _texts(column: NDArray[Any]) -> list[str]:
    return [str(value) for value in (column.astype(np.int8) if column.dtype == np.bool_ else column)]


def _plain(value: Any) -> Any:
    """A float of 32 bits as the shortest decimal that gives it back."""
    if isinstance(value, np.bool_):
        return int(value)
    if isinstance(value, np.floating):
        return float(str(value)) if np.isfinite(value) else None
    return value.item() if isinstance(value, np.generic) else value
