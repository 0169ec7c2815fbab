"""WordCounter: pieces of writing and a vocabulary -> bags of words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import torch

from vae_lightning.counts import Counts
from vae_lightning.data.loaders import Observations
from vae_lightning.data.texts.tokenizers import LatinLetters, Tokenizer


class WordCounter:
    """Counts words of a vocabulary, word id n being words[n], by default as the 20 Newsgroups archive was cut."""

    def __init__(self, words: Sequence[str], tokenizer: Tokenizer | None = None) -> None:
        self._ids = {word: n for n, word in enumerate(words)}
        self._tokenizer = tokenizer or LatinLetters()

    def counts(self, texts: Sequence[str]) -> Counts:
        """A row a text, as a corpus of them has it, empty for one of no known word."""
        rows = [Counter(filter(self._ids.__contains__, self._tokenizer(text))) for text in texts]
        return self._rows([dict(sorted(row.items())) for row in rows])

    def query(self, text: str) -> tuple[Counts, list[str]]:
        """One row and the unknown words, once each, in their order in the text.

        Raises ValueError for a text without words, or with unknown ones only.
        """
        found = Counter(self._tokenizer(text))
        known = {word: count for word, count in found.items() if word in self._ids}
        unknown = [word for word in found if word not in self._ids]
        if not found:
            of = " of the letters a to z" if isinstance(self._tokenizer, LatinLetters) else ""
            raise ValueError(f"a query needs at least one word{of}, got {text!r}")
        if not known:
            raise ValueError(
                f"none of the query's words is in the vocabulary of {len(self._ids)} words: {', '.join(unknown)}"
            )
        return self._rows([known]), unknown

    def _rows(self, rows: Sequence[dict[str, int]]) -> Counts:
        indices = torch.tensor([self._ids[word] for row in rows for word in row], dtype=torch.int64)
        values = torch.tensor([float(count) for row in rows for count in row.values()])
        offsets = torch.tensor([0, *(len(row) for row in rows)]).cumsum(0)
        return Counts(indices, offsets, values, torch.tensor([float(sum(row.values())) for row in rows]))


def counts(data: Observations) -> Counts:
    """The documents of a split."""
    assert isinstance(data.x, Counts), "documents are sparse"
    return data.x
