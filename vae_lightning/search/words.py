"""Top words: bags of words -> the few words of each document that tell it from others."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from vae_lightning.counts import Counts

NUM_TOP_WORDS = 5


def inverse_document_frequency(x: Counts, num_words: int) -> Float[Tensor, " words"]:
    """Log N / n_k of each word k, which occurs in n_k of N documents."""
    return (len(x) / torch.bincount(x.indices, minlength=num_words).clamp(min=1)).log()


def top_words(x: Counts, idf: Float[Tensor, " words"], words: Sequence[str]) -> list[list[str]]:
    """The words of largest count x idf of each document, best first; ties by word id."""
    by_word = torch.argsort(x.indices, stable=True)
    by_score = by_word[torch.argsort((x.values * idf[x.indices])[by_word], descending=True, stable=True)]
    by_row = by_score[torch.argsort(x.rows[by_score], stable=True)]
    documents = x.indices[by_row].split(x.offsets.diff().tolist())
    return [[words[n] for n in document[:NUM_TOP_WORDS].tolist()] for document in documents]
