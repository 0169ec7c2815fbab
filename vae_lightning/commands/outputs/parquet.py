"""Parquet: answers -> .parquet, a row group a part."""

from __future__ import annotations

from importlib import import_module
from typing import Any, BinaryIO

from vae_lightning.answers import Answer
from vae_lightning.commands.outputs.base import Output


class Parquet(Output):
    """The table, by pyarrow (`pip install vae-lightning[text]`); ValueError where that is not installed."""

    def __init__(self, file: BinaryIO) -> None:
        super().__init__(file)
        try:
            self.arrow, self.parquet = import_module("pyarrow"), import_module("pyarrow.parquet")
        except ImportError as error:
            raise ValueError("a .parquet needs pyarrow: pip install vae-lightning[text]") from error
        self.writer: Any = None

    def write(self, part: Answer) -> None:
        """The next rows."""
        table = self.arrow.table(dict(part.table))
        if self.writer is None:
            self.writer = self.parquet.ParquetWriter(self.file, table.schema)
        self.writer.write_table(table)

    def finish(self) -> None:
        """Write the footer."""
        self.release()

    def release(self) -> None:
        """Close the writer, which would do so once the file is gone."""
        if self.writer is not None:
            self.writer.close()
