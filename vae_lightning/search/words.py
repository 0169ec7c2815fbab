"""Top words: bags of words -> the few words of each document that tell it from others."""

from __future__ import annotations

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from vae_lightning.counts import Counts

NUM_TOP_WORDS = 5
NO_WORD = -1


def inverse_document_frequency(x: Counts, num_words: int) -> Float[Tensor, " words"]:
    """Log N / n_k of each word k, which occurs in n_k of N documents."""
    return (len(x) / torch.bincount(x.indices, minlength=num_words).clamp(min=1)).log()


def rarity(num_words: int) -> Float[Tensor, " words"]:
    """Log k of the k-th most frequent word: by Zipf's law what `inverse_document_frequency` is, but for a constant."""
    return torch.arange(1, num_words + 1).log()


def top_words(x: Counts, weight: Float[Tensor, " words"]) -> Int64[Tensor, "rows 5"]:
    """The words of largest count x weight of each document, best first, then `NO_WORD`; ties by word id."""
    by_word = torch.argsort(x.indices, stable=True)
    by_score = by_word[torch.argsort((x.values * weight[x.indices])[by_word], descending=True, stable=True)]
    by_row = by_score[torch.argsort(x.rows[by_score], stable=True)]
    rows = x.rows[by_row]
    places = torch.arange(len(rows)) - x.offsets[rows]
    shown = places < NUM_TOP_WORDS
    found = torch.full((len(x), NUM_TOP_WORDS), NO_WORD)
    found[rows[shown], places[shown]] = x.indices[by_row][shown]
    return found
