"""Text: a piece of writing and a vocabulary -> a bag of words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import torch

from vae_lightning.counts import Counts
from vae_lightning.data.texts.tokenizers import LatinLetters, Tokenizer


def bag_of_words(text: str, words: Sequence[str], tokenizer: Tokenizer | None = None) -> tuple[Counts, list[str]]:
    """Count the words of a text, by default as the 20 Newsgroups archive was cut: one row, and the unknown words.

    `words` is the vocabulary: word id n is words[n]. The unknown words come once each, in their order in the text.
    Raises ValueError for a text without words, or with unknown ones only.
    """
    ids = {word: n for n, word in enumerate(words)}
    found = Counter((tokenizer or LatinLetters())(text))
    known = {ids[word]: count for word, count in found.items() if word in ids}
    unknown = [word for word in found if word not in ids]
    if not found:
        raise ValueError(f"a query needs at least one word of the letters a to z, got {text!r}")
    if not known:
        raise ValueError(f"none of the query's words is in the vocabulary of {len(words)} words: {', '.join(unknown)}")
    values = torch.tensor([float(count) for count in known.values()])
    row = Counts(torch.tensor(list(known)), torch.tensor([0, len(known)]), values, values.sum()[None])
    return row, unknown
