"""Tokenisers: a text -> its words, in their order."""

from __future__ import annotations

import abc
import re
import sys
import unicodedata
from functools import cache

from vae_lightning.construction.arguments import check_kinds

_ASCII_RUN = re.compile("[A-Za-z]+")
_LATIN_RUN = re.compile("[a-z]+")
# Han, kana, Thai, Lao, Burmese and Khmer: scripts that put no blanks between words
_UNSPACED = re.compile(
    "[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3005-\u3007\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
    "\U00020000-\U0003134f]+"
)


class Tokenizer(abc.ABC):
    """How a text is cut into words."""

    @abc.abstractmethod
    def __call__(self, text: str) -> list[str]:
        """The words of a text."""


class UnicodeWords(Tokenizer):
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

    def __call__(self, text: str) -> list[str]:
        """The words of a text."""
        cased = text.lower() if self.lowercase else text
        if text.isascii():
            return _ASCII_RUN.findall(cased)
        words = _letter_run().findall(unicodedata.normalize("NFC", cased))
        return [piece for word in words for piece in self._pieces(word)] if _UNSPACED.search(text) else words

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


class LatinLetters(Tokenizer):
    """Runs of the letters a to z, in lower case, as the 20 Newsgroups archive was cut."""

    def __call__(self, text: str) -> list[str]:
        """The words of a text."""
        return _LATIN_RUN.findall(text.lower())
