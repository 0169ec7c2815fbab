"""Readers: a folder or file of texts, in whatever format -> a Corpus."""

from __future__ import annotations

import abc
import json
import math
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar

from vae_lightning.construction.arguments import check_kinds
from vae_lightning.data.arrays.tables import LARGEST_TABLE, parquet_file, text_rows
from vae_lightning.data.reading import check_file, read_bytes, said
from vae_lightning.data.texts.corpus import Corpus, Text, count_words
from vae_lightning.data.texts.tokenizers import Tokenizer

LARGEST_TEXT = 1 << 28  # bytes of one file of text


class Reader(abc.ABC):
    """A format of documents."""

    version: ClassVar[str | None] = None
    """Of a class of your own: a name of what it does now. With it what was read is kept, for as long as it is so."""

    @abc.abstractmethod
    def read(self, path: Path, tokenizer: Tokenizer) -> Corpus:
        """All documents of a path; ValueError, in one line that names the file, for what is not of the format."""

    def sources(self, path: Path) -> Iterable[Path]:
        """The files that are read: what is kept of them is read again when one of them changes."""
        return sorted(path.rglob("*")) if path.is_dir() else [path]


class TextReader(Reader):
    """A format that holds texts, which a tokeniser cuts into words."""

    @abc.abstractmethod
    def texts(self, path: Path) -> Iterator[Text]:
        """One after another."""

    def size(self, path: Path) -> int | None:
        """About how many characters the texts have, for the progress bar; None if that cannot be told."""
        return path.stat().st_size

    def read(self, path: Path, tokenizer: Tokenizer) -> Corpus:
        """Count the words of all texts."""
        try:
            return count_words(self.texts(path), tokenizer, self.size(path))
        except ValueError as error:
            raise error if str(path) in str(error) else ValueError(f"{path}: {error}") from error


class Folder(TextReader):
    """A folder of files in UTF-8, by default all .txt; the first sub-folder on the way to a file is its label.

    Args:
        pattern: which files, as `Path.glob` has it.
    """

    def __init__(self, pattern: str = "**/*.txt") -> None:
        check_kinds(Folder, locals())
        self.pattern = pattern

    def sources(self, path: Path) -> list[Path]:
        """In the order of their names; ValueError if there are none."""
        files = sorted(file for file in path.glob(self.pattern) if file.is_file())
        shown = [file for file in files if not any(part.startswith(".") for part in file.relative_to(path).parts)]
        if not shown:
            raise ValueError(f"{path} has no files {self.pattern}: expected a folder of texts")
        return shown

    def size(self, path: Path) -> None:
        """Who asks every file would wait for it."""

    def texts(self, path: Path) -> Iterator[Text]:
        """In the order of their names; hidden files are none."""
        for file in self.sources(path):
            name = file.relative_to(path)
            yield Text(str(name), _utf8(file), name.parts[0] if len(name.parts) > 1 else None)


class Table(TextReader):
    """A format with columns: one for the text, and, if they are there, one for the label and one for the name.

    Args:
        text: the column of the text; of a table with a single column, that one.
        label: the column of the label.
        id: the column of the name; rows are numbered from 0 without it.
    """

    def __init__(self, text: str = "text", label: str = "label", id: str = "id") -> None:
        check_kinds(type(self), locals())
        self.text, self.label, self.id = text, label, id

    @abc.abstractmethod
    def rows(self, path: Path) -> Iterator[Mapping[str, Any]]:
        """A row a document, by the names of the columns."""

    def texts(self, path: Path) -> Iterator[Text]:
        """One a row."""
        for number, row in enumerate(self.rows(path)):
            only = len(row) == 1 and not row.keys() & {self.label, self.id}
            text = next(iter(row.values())) if only else row.get(self.text)
            if text is None and self.text in row:
                raise ValueError(f"{path}, row {number}: there is no text in the column {self.text!r}: leave it out")
            if not isinstance(text, str):
                kind = f"vae_lightning.data.texts.{type(self).__name__}"
                raise ValueError(
                    f"{path}, row {number}: expected a text in the column {self.text!r}, got the columns "
                    f"{', '.join(map(str, row))}: name it by --data.reader {kind} --data.reader.text COLUMN"
                )
            label, name = row.get(self.label), row.get(self.id, number)
            yield Text(str(name), text, None if label in (None, "") or _is_nan(label) else str(label))


class CSV(Table):
    """A .csv or .tsv file in UTF-8 whose first line names the columns; blank lines are no rows, nor counted."""

    def rows(self, path: Path) -> Iterator[Mapping[str, Any]]:
        """Read row by row."""
        rows = text_rows(path)
        names = next(rows)
        yield from (dict(zip(names, row, strict=True)) for row in rows)


class JSONLines(Table):
    """A .jsonl file: one JSON object a line."""

    def rows(self, path: Path) -> Iterator[Mapping[str, Any]]:
        """Read line by line."""
        check_file(path, LARGEST_TABLE)
        with path.open("rb") as file:
            for number, line in enumerate(file, start=1):
                if line.strip():
                    yield _object(line, f"{path}, line {number}")


class Parquet(Table):
    """A .parquet file, read by pyarrow (`pip install vae-lightning[text]`)."""

    def size(self, path: Path) -> None:
        """Columns are packed."""

    def rows(self, path: Path) -> Iterator[Mapping[str, Any]]:
        """Read batch by batch, the three columns alone."""
        with parquet_file(path) as file:
            names = file.schema_arrow.names
            columns = [name for name in (self.text, self.label, self.id) if name in names]
            try:
                for batch in file.iter_batches(columns=columns if self.text in columns else names):
                    yield from batch.to_pylist()
            except (OSError, ValueError) as error:  # pyarrow's own errors are some of each
                raise ValueError(f"{path} is no Parquet file: {said(error)}") from error


def _is_nan(label: object) -> bool:
    return isinstance(label, float) and math.isnan(label)


def _utf8(path: Path) -> str:
    content = read_bytes(path, LARGEST_TEXT)
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"{path}: expected UTF-8 text, got other bytes: save it as UTF-8") from error


def _object(line: bytes, where: str) -> Mapping[str, Any]:
    try:
        row = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{where}: expected a JSON object, got {line[:60]!r}") from error
    if not isinstance(row, dict):
        raise ValueError(f"{where}: expected a JSON object, got {line[:60]!r}")
    return row
