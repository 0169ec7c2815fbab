"""Counting: the same bits as a plain loop, whatever the pieces, the processes and the way that words are found."""

from __future__ import annotations

import os
import re
import signal
import sys
import time
import unicodedata
from collections import Counter
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.forked import in_children

from vae_lightning.data import growing, workers
from vae_lightning.data.texts import LatinLetters, Tokenizer, UnicodeWords, corpus, tokenizers
from vae_lightning.data.texts.corpus import Corpus, Text, count_words
from vae_lightning.data.texts.documents import Documents
from vae_lightning.data.workers import in_order

LETTERS = "aAzZ éßİſ\u212aЖ河边ก \t\n\x1c\x85\u2028.,_-0\u0308\ud800😀"
DOCUMENTS = st.lists(st.text(st.sampled_from(LETTERS) | st.characters(), max_size=30), max_size=12)


class Halves(Tokenizer):
    """Somebody's own, which needs no list."""

    def __call__(self, text: str) -> Iterator[str]:  # type: ignore[override]
        return iter(text.split("a"))


KINDS = [LatinLetters(), UnicodeWords(), UnicodeWords(lowercase=False, ngram=1), Halves()]


def rows(counted: Corpus) -> list[dict[str, int]]:
    """By document, words with their counts in the order that they have there."""
    ends, documents = counted.documents.offsets, counted.documents
    return [
        {counted.words[w]: int(c) for w, c in zip(documents.words[a:b], documents.counts[a:b], strict=True)}
        for a, b in pairwise(ends)
    ]


def texts(found: list[str]) -> list[Text]:
    return [Text(str(number), text) for number, text in enumerate(found)]


@given(DOCUMENTS, st.sampled_from(KINDS), st.sampled_from([1, 20, 1 << 22]), st.booleans())
def test_counts_are_those_of_a_plain_loop(found: list[str], tokenizer: Tokenizer, piece: int, by_arrow: bool) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(corpus, "PIECE", piece)
        patch.setattr(workers, "cores", lambda: 1)
        patch.setattr(tokenizers, "FEW", 0 if by_arrow else 1 << 60)
        counted = count_words(texts(found), tokenizer)
    expected = [Counter(tokenizer(text)) for text in found]
    assert rows(counted) == expected
    assert all(list(row) == sorted(row) for row in rows(counted))
    assert counted.words == sorted({word for row in expected for word in row})


@given(st.text(st.sampled_from(LETTERS) | st.characters()))
def test_words_are_those_of_regular_expressions(text: str) -> None:
    assert LatinLetters()(text) == re.findall("[a-z]+", text.lower())
    ascii_only = text.encode("ascii", "ignore").decode()
    assert UnicodeWords()(ascii_only) == re.findall("[A-Za-z]+", ascii_only.lower())
    assert UnicodeWords(lowercase=False)(ascii_only) == re.findall("[A-Za-z]+", ascii_only)
    spaced = re.findall(r"[^\W\d_]+", unicodedata.normalize("NFC", re.sub("[^A-Za-zéßЖ]", " ", text).lower()))
    assert UnicodeWords()(re.sub("[^A-Za-zéßЖ]", " ", text)) == spaced


def test_without_pyarrow_the_words_are_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tokenizers, "FEW", 0)
    found = ["one Größe, two", "", " two "]
    with_it = UnicodeWords().index(found)
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    without = UnicodeWords().index(found)
    assert with_it.words == without.words == ["one", "größe", "two"]
    assert with_it.numbers.tolist() == without.numbers.tolist() == [0, 1, 2, 2]
    assert with_it.lengths.tolist() == without.lengths.tolist() == [3, 0, 1]


@given(st.lists(st.lists(st.integers(-9, 9), max_size=5)), st.integers(0, 100))
def test_a_growing_column_is_its_parts(parts: list[list[int]], most: int) -> None:
    column = growing.Growing(np.int32)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(growing, "IN_MEMORY", most)
        for part in parts:
            column.extend(np.array(part, np.int64))
        found = column.array()
    assert (found.dtype, found.tolist()) == (np.int32, [n for part in parts for n in part])


def test_a_column_without_room_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    column = growing.Growing(np.int32)
    monkeypatch.setattr(growing, "IN_MEMORY", 0)
    said = r"cannot keep 9 counts in .*: No space left on device: set XDG_CACHE_HOME to a folder with room"
    with Path("/dev/full").open("wb", buffering=0) as full:
        monkeypatch.setattr(growing, "_nameless", lambda: full)
        with pytest.raises(ValueError, match=said):
            column.extend(np.arange(9))


# -- several processes -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [UnicodeWords, Halves])
def test_several_processes_count_the_same_bits(kind: type[Tokenizer], monkeypatch: pytest.MonkeyPatch) -> None:
    """Also by a tokeniser that nobody could pickle."""

    class Local(kind):  # type: ignore[misc, valid-type]
        seen = staticmethod(lambda: None)

    monkeypatch.setattr(corpus, "PIECE", 200)
    found = texts([f"the {'river ' * (n % 7)}{'Größe ' * (n % 3)}number{'a' * n}" for n in range(60)])
    one, several = [], []
    for cores, kept in ((1, one), (2, several)):
        monkeypatch.setattr(workers, "cores", lambda cores=cores: cores)
        kept.append(count_words(iter(found), Local()))
    for field in ("offsets", "words", "counts", "labels"):
        assert np.array_equal(getattr(one[0].documents, field), getattr(several[0].documents, field))
    assert (one[0].words, one[0].names) == (several[0].words, several[0].names)


def test_results_keep_their_order_and_come_from_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "cores", lambda: 2)
    found = list(in_order(lambda n: (n, os.getpid()), range(20)))
    assert [n for n, _ in found] == list(range(20))
    assert os.getpid() not in {process for _, process in found}
    assert list(in_order(lambda n: os.getpid(), [1])) == [os.getpid()]  # one item is not worth a process


def test_items_are_taken_as_they_are_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever reads a million documents does not hold them."""
    monkeypatch.setattr(workers, "cores", lambda: 2)
    taken = []
    results = in_order(abs, (taken.append(n) or n for n in range(100)))
    next(results)
    assert len(taken) <= 5
    results.close()


def test_what_goes_wrong_elsewhere_is_said_here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "cores", lambda: 2)
    with pytest.raises(ZeroDivisionError):
        list(in_order(lambda n: 1 // (n - 3), range(9)))
    with pytest.raises(ValueError, match="a process that counted was killed, as the system does when memory runs out"):
        list(in_order(lambda n: os.kill(os.getpid(), signal.SIGKILL), range(9)))


def test_processes_end_with_the_one_that_made_them(tmp_path: Path) -> None:
    def work(n: int) -> int:
        (tmp_path / str(os.getpid())).touch()
        time.sleep(0.01)
        return n

    def killed() -> int:
        workers.cores = lambda: 2  # in a child
        for n in in_order(work, range(10_000)):
            if n == 10:
                os.kill(os.getpid(), signal.SIGKILL)
        return 0

    assert in_children([killed], tmp_path, tmp_path / "out", tmp_path / "err") == [-signal.SIGKILL]
    left = [int(path.name) for path in tmp_path.iterdir() if path.name.isdigit()]
    assert len(left) == 2
    late = time.monotonic() + 20
    while any(map(lives, left)):
        assert time.monotonic() < late
        time.sleep(0.02)


def lives(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except FileNotFoundError:
        return False


# -- piece by piece --------------------------------------------------------------------------------------------------


@given(st.lists(st.integers(0, 5), max_size=10), st.data(), st.integers(1, 9))
def test_pieces_are_the_documents(lengths: list[int], data: st.DataObject, most: int) -> None:
    offsets = np.cumsum([0, *lengths])
    documents = Documents(offsets, *np.arange(2 * offsets[-1], dtype=np.int32).reshape(2, -1), np.arange(len(lengths)))
    some = st.lists(st.integers(0, len(lengths) - 1), max_size=9) if lengths else st.just([])
    picks = data.draw(st.none() | some)
    chosen = None if picks is None else np.array(picks, np.int64)
    whole = documents.select(np.arange(len(lengths)) if chosen is None else chosen)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("vae_lightning.data.texts.documents.PIECE", most)
        pieces = list(documents.pieces(chosen))
    for field in ("words", "counts", "labels"):
        parts = [getattr(piece, field) for piece in pieces]
        assert np.concatenate([np.empty(0, int), *parts]).tolist() == getattr(whole, field).tolist()
    assert [n for piece in pieces for n in np.diff(piece.offsets)] == np.diff(whole.offsets).tolist()
    assert all(len(piece.words) <= most or len(piece) == 1 for piece in pieces)
