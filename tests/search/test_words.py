"""Top words and first lines: what is shown of a document."""

from __future__ import annotations

import torch

from vae_lightning.counts import Counts
from vae_lightning.search.words import NO_WORD, inverse_document_frequency, rarity, top_words
from vae_lightning.search.writing import TITLE, first_line


def test_top_words_leave_out_what_all_documents_have():
    x = Counts.from_dense(torch.tensor([[9.0, 1.0, 0.0, 2.0], [9.0, 1.0, 3.0, 0.0], [9.0, 0.0, 0.0, 0.0]]))
    words = top_words(x, inverse_document_frequency(x, 4))
    assert [[word for word in row if word != NO_WORD] for row in words.tolist()] == [[3, 1, 0], [2, 1, 0], [0]]


def test_no_more_than_five_are_kept_and_an_empty_document_has_none():
    x = Counts.from_dense(torch.stack([torch.ones(9), torch.zeros(9)]))
    assert top_words(x, rarity(9)).tolist() == [[8, 7, 6, 5, 4], [NO_WORD] * 5]


def test_rarity_is_the_inverse_document_frequency_of_a_zipf_law_but_for_a_constant():
    documents = torch.arange(1, 13) * torch.arange(1, 13)[:, None] <= 12  # word k is in 12 / k documents, rounded down
    idf = inverse_document_frequency(Counts.from_dense(documents.float()), 12)
    whole = torch.tensor([0, 1, 2, 3, 5])  # k - 1 where nothing is rounded
    assert torch.allclose(idf[whole], rarity(12)[whole])


def test_the_first_line_is_the_first_that_says_something():
    assert first_line(" \n\t\n  Größe\tder  Straße \nmore") == "Größe der Straße"
    assert first_line("\n" * 10 + "河" * 500) == "河" * TITLE
    assert first_line("  \n ") == ""
