"""Tokenisers: a text -> its words, in their order."""

from __future__ import annotations

import abc
import re
import sys
import unicodedata
from array import array
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from itertools import count
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from vae_lightning.construction.arguments import check_kinds

FEW = 1 << 18  # characters that are counted before pyarrow is imported
_LETTERS = bytes(byte if chr(byte).isalpha() and byte < 128 else ord(" ") for byte in range(256))
_LOWER_LETTERS = _LETTERS.lower()
# Han, kana, Thai, Lao, Burmese and Khmer: scripts that put no blanks between words
_UNSPACED = re.compile(
    "[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3005-\u3007\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
    "\U00020000-\U0003134f]+"
)


@dataclass(frozen=True, eq=False)
class Indexed:
    """The words of some texts: the different ones, then which comes after which, and how many each text has."""

    words: list[str]
    numbers: NDArray[np.int32]
    lengths: NDArray[np.int64]

    def without(self, word: str) -> Indexed:
        """The same where this one does not count."""
        if word not in self.words:
            return self
        place = self.words.index(word)
        kept = self.numbers != place
        numbers = self.numbers[kept]
        rows = np.repeat(np.arange(len(self.lengths)), self.lengths)[kept]
        words = self.words[:place] + self.words[place + 1 :]
        return Indexed(words, numbers - (numbers > place), np.bincount(rows, minlength=len(self.lengths)))


class Tokenizer(abc.ABC):
    """How a text is cut into words."""

    version: ClassVar[str | None] = None
    """Of a class of your own: a name of what it does now. With it what was counted is kept, for as long as it is so."""

    @abc.abstractmethod
    def __call__(self, text: str) -> list[str]:
        """The words of a text."""

    def index(self, texts: Sequence[str]) -> Indexed:
        """The words of many texts, by numbers."""
        ids: defaultdict[str, int] = defaultdict(count().__next__)
        found, ends = array("i"), array("i")
        for text in texts:
            found.extend(map(ids.__getitem__, self(text)))
            ends.append(len(found))
        lengths = np.diff(np.array([0, *ends])).astype(np.int64)
        return Indexed(list(ids), np.array(found, np.int32), lengths)


class SpacedTokenizer(Tokenizer):
    """A tokeniser that can say its words with blanks between them, which pyarrow, if it is there, counts fast."""

    @abc.abstractmethod
    def spaced(self, text: str) -> bytes:
        """The words of a text in UTF-8, with blanks between them and perhaps around them."""

    def __call__(self, text: str) -> list[str]:
        """The words of a text."""
        return self.spaced(text).decode().split()

    def index(self, texts: Sequence[str]) -> Indexed:
        """The words of many texts, by numbers; of few the same in Python, which begins sooner."""
        if sum(map(len, texts)) < FEW:
            return super().index(texts)
        try:
            arrow: Any = import_module("pyarrow")
            compute: Any = import_module("pyarrow.compute")
        except ImportError:
            return super().index(texts)
        spaced = arrow.array([self.spaced(text) for text in texts], arrow.binary()).view(arrow.string())
        pieces = compute.ascii_split_whitespace(spaced)
        found = pieces.flatten().dictionary_encode()
        words, numbers = found.dictionary.to_pylist(), found.indices.to_numpy().astype(np.int32)
        lengths = np.diff(pieces.offsets.to_numpy()).astype(np.int64)
        return Indexed(words, numbers, lengths).without("")


class UnicodeWords(SpacedTokenizer):
    """Runs of letters of any script, in lower case; n-grams of characters where a script has no blanks.

    A letter with its marks is one letter, whether it is written as one character or several (Unicode's composed form).
    Chinese, Japanese, Thai, Lao, Burmese and Khmer are cut into overlapping n-grams of `ngram` characters; a run that
    is shorter is a word. Digits, punctuation and emoji are no words. ValueError for ngram < 1.

    Args:
        lowercase: whether words are lower-cased.
        ngram: characters in a word of a script without blanks.
    """

    def __init__(self, lowercase: bool = True, ngram: int = 2) -> None:
        check_kinds(UnicodeWords, locals())
        if ngram < 1:
            raise ValueError(f"ngram is a number of characters and must be at least 1, got {ngram}")
        self.lowercase, self.ngram = lowercase, ngram

    def spaced(self, text: str) -> bytes:
        """The words of a text in UTF-8, with blanks between them."""
        if text.isascii():
            return text.encode().translate(_LOWER_LETTERS if self.lowercase else _LETTERS)
        cased = text.lower() if self.lowercase else text
        words = _letter_run().findall(unicodedata.normalize("NFC", cased))
        if _UNSPACED.search(text):
            words = [piece for word in words for piece in self._pieces(word)]
        return " ".join(words).encode()

    def _pieces(self, word: str) -> list[str]:
        pieces, end = [], 0
        for run in _UNSPACED.finditer(word):
            pieces += [word[end : run.start()]] * (run.start() > end)
            pieces += [run[0][at : at + self.ngram] for at in range(max(1, len(run[0]) - self.ngram + 1))]
            end = run.end()
        return pieces + [word[end:]] * (end < len(word))


@cache
def _letter_run() -> re.Pattern[str]:
    """A letter, then letters and marks: Python's own classes have no marks, without which no Hindi word is whole."""
    marks = "".join(c for c in map(chr, range(sys.maxunicode + 1)) if unicodedata.category(c).startswith("M"))
    return re.compile(rf"[^\W\d_](?:[^\W\d_]|[{marks}])*")


class LatinLetters(SpacedTokenizer):
    """Runs of the letters a to z, in lower case, as the 20 Newsgroups archive was cut."""

    def spaced(self, text: str) -> bytes:
        """The words of a text, with blanks for all that is between them."""
        return text.lower().encode("ascii", "replace").translate(_LOWER_LETTERS)
