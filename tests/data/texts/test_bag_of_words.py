"""bag_of_words: a query is split as the archive was."""

import pytest

from vae_lightning.data.texts.bag_of_words import bag_of_words

WORDS = ["space", "orbit", "nasa"]


def test_counts_lower_case_letter_runs_and_names_the_unknown() -> None:
    row, unknown = bag_of_words("NASA's space-craft: Space, 2 orbits & space!", WORDS)
    assert row.dense(3).tolist() == [[3.0, 0.0, 1.0]]
    assert row.total.tolist() == [4.0]
    assert unknown == ["s", "craft", "orbits"]


def test_a_query_needs_a_known_word() -> None:
    with pytest.raises(ValueError, match="none of the query's words is in the vocabulary of 3 words: moon, landing"):
        bag_of_words("Moon landing", WORDS)
    with pytest.raises(ValueError, match="needs at least one word of the letters a to z, got '42!'"):
        bag_of_words("42!", WORDS)
