"""Stop words: lists of words that a vocabulary leaves out."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from sklearn.feature_extraction.text import ENGLISH_STOP_WORDS

from vae_lightning.data.vocabulary import StopWords


class EnglishStopWords(StopWords):
    """The 318 English stop words of scikit-learn."""

    def words(self) -> Collection[str]:
        """The words, in lower case."""
        return ENGLISH_STOP_WORDS


class StopWordsFile(StopWords):
    """The words of a text file, separated by white space; raises ValueError if it cannot be read."""

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)

    def words(self) -> Collection[str]:
        """The words, in lower case."""
        try:
            return frozenset(self.path.read_text(encoding="utf-8").lower().split())
        except (OSError, UnicodeDecodeError) as error:
            raise ValueError(f"cannot read stop words from {self.path}: {error}") from error
