"""Formats: a path -> the reader of its format, by its ending."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from vae_lightning.data.texts.matrices import BagOfWordsTriples, LdaC, MatrixMarket, SparseArrays, SvmLight
from vae_lightning.data.texts.readers import CSV, Folder, JSONLines, Parquet, Reader, TextReader

ENDINGS: dict[str, Callable[[], Reader]] = {
    ".csv": CSV,
    ".tsv": CSV,
    ".jsonl": JSONLines,
    ".ndjson": JSONLines,
    ".parquet": Parquet,
    ".npz": SparseArrays,
    ".mtx": MatrixMarket,
    ".ldac": LdaC,
    ".lda-c": LdaC,
    ".svmlight": SvmLight,
    ".libsvm": SvmLight,
}


def reader_of(path: Path) -> Reader:
    """The reader of this folder or file; ValueError for an ending that says nothing."""
    if path.is_dir():
        return Folder()
    if not path.exists():
        raise ValueError(f"there is no {path}: data.path names a folder of texts, or a file of one of {_known()}")
    if path.name.startswith("docword."):
        return BagOfWordsTriples()
    try:
        reader = ENDINGS[Path(path.name.removesuffix(".gz")).suffix.lower()]()
    except KeyError as error:
        raise ValueError(
            f"{path} is no folder of texts and has none of the known endings {_known()}: give the folder of the texts, "
            "or data.reader the class path of the format"
        ) from error
    if path.suffix == ".gz" and isinstance(reader, TextReader):
        raise ValueError(f"{path} is packed, and texts are read unpacked: give what `gunzip --keep {path.name}` makes")
    return reader


def _known() -> str:
    return ", ".join(ENDINGS)
