"""Stop words: lists of words that a vocabulary leaves out."""

from __future__ import annotations

from collections.abc import Collection
from importlib import import_module
from pathlib import Path

from vae_lightning.construction.arguments import check_kinds
from vae_lightning.data.reading import read_bytes, user_path
from vae_lightning.data.texts.vocabulary import StopWords

LARGEST = 1 << 22  # bytes of a list


class EnglishStopWords(StopWords):
    """The 318 English stop words of scikit-learn."""

    def words(self) -> Collection[str]:
        """The words, in lower case."""
        words: frozenset[str] = import_module("sklearn.feature_extraction.text").ENGLISH_STOP_WORDS
        return words


class StopWordsFile(StopWords):
    """The words of a text file, separated by white space; raises ValueError if it cannot be read."""

    def __init__(self, path: str | Path) -> None:
        check_kinds(StopWordsFile, locals())
        self.path = user_path(path)

    def words(self) -> Collection[str]:
        """The words, in lower case."""
        try:
            return frozenset(read_bytes(self.path, LARGEST).decode("utf-8-sig").lower().split())
        except ValueError as error:  # UnicodeDecodeError among them
            raise ValueError(f"cannot read stop words from {self.path}, expected UTF-8 text: {error}") from error
