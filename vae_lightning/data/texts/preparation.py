"""TextPreparation: other texts -> counts of the words that the model knows."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse
from jaxtyping import Float
from torch import Tensor

from vae_lightning.construction.arguments import check_kinds
from vae_lightning.counts import Counts
from vae_lightning.data.arrays.rows import Frame
from vae_lightning.data.preparation import Preparation, Prepared, prepared
from vae_lightning.data.reading import LONGEST_LINE, user_path
from vae_lightning.data.texts.corpus import Corpus, Text, count_words
from vae_lightning.data.texts.formats import reader_of
from vae_lightning.data.texts.readers import Reader
from vae_lightning.data.texts.tokenizers import Tokenizer, UnicodeWords
from vae_lightning.data.texts.vocabulary import keep_words

SHOWN = 20  # words of a mean document


class TextPreparation(Preparation):
    """Texts as `data.Texts` reads them, in terms of the training documents' vocabulary; other words are left out.

    A string is a text, a list of strings are texts, a `Path` is that of a folder or file of texts.

    Args:
        words: the vocabulary, word id n being words[n].
        tokenizer: cuts a text into words; by default `UnicodeWords()`.
        reader: the format of a path, by default that of its ending.

    Examples:
        >>> from vae_lightning.data.texts.preparation import TextPreparation
        >>> found = TextPreparation(["river", "field"]).read(["The river, the river", "A field"])
        >>> found.observations.x.dense(2)
        tensor([[2., 0.],
                [0., 1.]])
    """

    def __init__(self, words: Sequence[str], tokenizer: Tokenizer | None = None, reader: Reader | None = None) -> None:
        check_kinds(TextPreparation, locals())
        self.words, self.tokenizer, self.reader = list(words), tokenizer or UnicodeWords(), reader

    @property
    def columns(self) -> Sequence[str]:
        """The vocabulary."""
        return self.words

    def read(self, data: Any) -> Prepared:
        """ValueError where no text has a word of the vocabulary, and for counts of other words than its."""
        if isinstance(data, Counts) or scipy.sparse.issparse(data):
            return prepared(self._counted(data))
        corpus = self._corpus(data)
        if not len(corpus):
            raise ValueError(f"there are no texts in {data if isinstance(data, Path) else 'the list'}")
        numbers = {word: number for number, word in enumerate(corpus.words)}
        ids = np.array([numbers.get(word, -1) for word in self.words], np.int64)
        x = self._kept(corpus, ids)
        if not len(x.indices):
            raise ValueError(
                f"none of {len(corpus.words):,} words in {len(corpus):,} texts is in the model's vocabulary of "
                f"{len(self.words):,}{_perhaps_a_path(data)}"
            )
        empty = int((x.total == 0).sum())
        notes = [f"{empty:,} of {len(x):,} texts have no word of the vocabulary"] if empty else []
        return prepared(x, corpus.names, notes)

    def texts(self, x: Float[Tensor, "n W"]) -> list[str]:
        """Documents as texts, the most frequent words first: each as often as it is counted.

        Of means, which count no words, the 20 most frequent ones, once each.
        """
        return [" ".join(self.words[word] for word in _chosen(row)) for row in x.cpu()]

    def _counted(self, data: Any) -> Counts:
        width = len(self.words)
        if isinstance(data, Counts):
            data.check_words(width)
            return data
        if data.shape[-1] != width:
            raise ValueError(
                f"the model takes counts of {width:,} words, a column each, got {data.shape[-1]:,} columns"
            )
        return Counts.from_scipy(data)

    def _corpus(self, data: Any) -> Corpus:
        if isinstance(data, Path):
            path = user_path(data)
            return (self.reader or reader_of(path)).read(path, self.tokenizer)
        if isinstance(data, Frame | Mapping) or not isinstance(data, Iterable):
            raise ValueError(f"expected texts, such as a column of a table; got {type(data).__name__}")
        texts = [data] if isinstance(data, str) else list(data)
        if not all(isinstance(text, str) for text in texts):
            raise ValueError(f"expected texts, or the Path of a folder or file of them; got {type(data).__name__}")
        return count_words((Text(str(number), text) for number, text in enumerate(texts)), self.tokenizer)

    def _kept(self, corpus: Corpus, ids: np.ndarray[Any, np.dtype[np.int64]]) -> Counts:
        """Counts by the model's word ids, of which those that the corpus has are put in their places."""
        there = np.flatnonzero(ids >= 0)
        kept = keep_words(corpus.documents, ids[there], len(corpus.words))
        return Counts(kept.indices.new_tensor(there)[kept.indices], kept.offsets, kept.values, kept.total)


def _perhaps_a_path(data: Any) -> str:
    """What to do with a text that is the name of a file or a folder."""
    there = isinstance(data, str) and len(data) < LONGEST_LINE and os.path.lexists(data)
    return f": {data!r} was read as a text; for what is in it give Path({data!r})" if there else ""


def _chosen(row: Float[Tensor, " W"]) -> list[int]:
    """Words' ids, the most frequent first."""
    counts, order = row.sort(descending=True, stable=True)
    if not row.eq(row.round()).all():
        return order[:SHOWN].tolist()
    return order.repeat_interleave(counts.long()).tolist()
