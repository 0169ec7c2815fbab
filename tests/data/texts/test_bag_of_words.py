"""WordCounter: a query is split as the archive was."""

import pytest

from vae_lightning.data.texts.bag_of_words import WordCounter
from vae_lightning.data.texts.tokenizers import UnicodeWords

WORDS = ["space", "orbit", "nasa"]


def test_counts_lower_case_letter_runs_and_names_the_unknown() -> None:
    row, unknown = WordCounter(WORDS).query("NASA's space-craft: Space, 2 orbits & space!")
    assert row.dense(3).tolist() == [[3.0, 0.0, 1.0]]
    assert row.total.tolist() == [4.0]
    assert unknown == ["s", "craft", "orbits"]


def test_a_query_needs_a_known_word() -> None:
    with pytest.raises(ValueError, match="none of the query's words is in the vocabulary of 3 words: moon, landing"):
        WordCounter(WORDS).query("Moon landing")
    with pytest.raises(ValueError, match="needs at least one word of the letters a to z, got '42!'"):
        WordCounter(WORDS).query("42!")


def test_documents_are_counted_as_a_corpus_counts_them() -> None:
    x = WordCounter(WORDS, UnicodeWords()).counts(["Orbit, space: ORBIT", "größe", "nasa"])
    assert x.dense(3).tolist() == [[1.0, 2.0, 0.0], [0.0, 0.0, 0.0], [0.0, 0.0, 1.0]]
    assert x.indices.tolist() == [1, 0, 2]  # in the order of the alphabet, so that sums are those of a corpus
    assert x.total.tolist() == [3.0, 0.0, 1.0]
    assert len(WordCounter(WORDS).counts([])) == 0
