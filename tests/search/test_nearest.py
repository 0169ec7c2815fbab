"""Nearest codes: comparing all, looking few up, and an index with what is shown, against brute force."""

from __future__ import annotations

import tempfile

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from support.command import command

from vae_lightning.search import CodeIndex
from vae_lightning.search.hamming import lookup, scan
from vae_lightning.search.hamming.lookup import Lookup, add_tables
from vae_lightning.search.hamming.ranking import Finder, Near
from vae_lightning.search.hamming.scan import Scan
from vae_lightning.search.storage.container import Container
from vae_lightning.search.storage.growing import Growing
from vae_lightning.search.writing import pack

Expected = tuple[list[tuple[int, int]], int]


def brute_force(codes: np.ndarray, query: np.ndarray, k: int) -> Expected:
    """(distance, row) of the k nearest, and how many more tie at the last distance."""
    near = sorted(zip((codes ^ query).sum(1).tolist(), range(len(codes)), strict=True))
    return near[:k], sum(distance == near[:k][-1][0] for distance, _ in near[k:])


def found(near: Near) -> Expected:
    return list(zip(near.distances.tolist(), near.rows.tolist(), strict=True)), near.tied


def looked_up(codes: np.ndarray) -> Lookup:
    with Growing() as growing, tempfile.TemporaryFile() as file:
        growing.append("codes", pack(codes))
        add_tables(growing, codes.shape[1])
        growing.finish(file, {})
        return Lookup.of(Container(file, "tables"), codes.shape[1])


def some_codes(num: int, num_bits: int, seed: int, clusters: int | None) -> tuple[np.ndarray, np.ndarray]:
    """Codes and four queries: of independent bits, or each a few bits from one of so many centers."""
    rng = np.random.default_rng(seed)
    every = rng.random((num + 4, num_bits)) < 0.5
    if clusters is not None:
        centers = rng.random((clusters, num_bits)) < 0.5
        every = centers[rng.integers(0, clusters, num + 4)] ^ (rng.random(every.shape) < 0.1)
    return every[:num], every[num:]


@settings(max_examples=60)
@given(
    num=st.integers(1, 300),
    num_bits=st.sampled_from([1, 3, 8, 11, 16, 17, 31, 64, 70]),
    k=st.integers(1, 40),
    seed=st.integers(0, 1000),
    clusters=st.sampled_from([None, 3]),
    share=st.sampled_from([0, 1, lookup.SHARE]),
)
def test_both_ways_of_search_against_brute_force(num, num_bits, k, seed, clusters, share):
    """With a share of 0 nothing is too much to be looked up; with another one it may end with comparing all."""
    codes, queries = some_codes(num, num_bits, seed, clusters)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lookup, "SHARE", share)
        finders: list[Finder] = [Scan(pack(codes)), looked_up(codes)]
        for finder in finders:
            for query, near in zip(queries, finder.nearest(pack(queries), k), strict=True):
                assert found(near) == brute_force(codes, query, k)


def test_codes_are_compared_a_part_at_a_time(monkeypatch):
    """As more than a million are: equal codes lie in several parts."""
    codes, queries = some_codes(50, 5, 0, None)
    monkeypatch.setattr(scan, "CODES", 7)
    for query, near in zip(queries, Scan(pack(codes)).nearest(pack(queries), 9), strict=True):
        assert found(near) == brute_force(codes, query, 9)


def test_few_are_looked_at_where_codes_are_near(monkeypatch):
    """Where the answer is close by, no query compares all codes."""
    codes, _ = some_codes(20_000, 32, 0, 2000)
    finder = looked_up(codes)
    monkeypatch.setattr(lookup, "Scan", lambda *_: pytest.fail("all codes were compared"))
    assert all(near.distances[0] == 0 for near in finder.nearest(pack(codes[:50]), 3))


def test_an_index_of_many_codes_has_tables_and_finds_the_same(monkeypatch, tmp_path):
    monkeypatch.setattr(scan, "CODES", 100)
    codes, queries = some_codes(500, 20, 0, 20)
    names = [f"document {row}" for row in range(len(codes))]
    index = CodeIndex.build(codes, names, out=tmp_path / "many.index")
    assert isinstance(index.finder(), Lookup)
    assert isinstance(index.finder(exact=True), Scan)
    for exact in (False, True):
        hits = index.nearest(queries, 5, exact=exact)
        for number, query in enumerate(queries):
            expected, tied = brute_force(codes, query, 5)
            assert [(hit["distance"], hit["name"]) for hit in hits.of(number)] == [(d, names[n]) for d, n in expected]
            assert hits.tied[number] == tied


@pytest.mark.parametrize(("num", "kind"), [(100, Scan), (101, Lookup)])
def test_up_to_so_many_codes_are_compared_and_of_one_more_there_are_tables(monkeypatch, num, kind):
    monkeypatch.setattr(scan, "CODES", 100)
    codes, queries = some_codes(num, 20, 0, 20)
    index = CodeIndex.build(codes, [str(row) for row in range(num)])
    assert type(index.finder()) is kind
    for query, near in zip(queries, index.finder().nearest(pack(queries), 5), strict=True):
        assert found(near) == brute_force(codes, query, 5)


def test_a_document_is_not_its_own_neighbour():
    index = CodeIndex.build(np.zeros((4, 3), bool), ["4", "3", "2", "1"])
    hits = index.nearest_to("2", k=2)
    assert (list(hits.names), hits.tied) == (["4", "3"], [1])
    assert list(index.nearest_to("1", k=2).names) == ["4", "3"]  # itself is behind those that tie
    assert index.nearest_to("4", k=9).tied == [0]
    alone = CodeIndex.build(np.zeros((1, 3), bool), ["9"]).nearest_to("9", k=2)
    assert (len(alone), alone.tied) == (0, [0])


@pytest.mark.parametrize("make", [np.asarray, torch.from_numpy], ids=["numpy", "torch"])
def test_codes_of_any_library_give_a_frame(make):
    codes = np.array([[0, 0, 1], [1, 1, 1], [0, 1, 1]], bool)
    index = CodeIndex.build(make(codes), ["a", "b", "c"], titles=["A", "B", "C"], labels=["x", None, "x"])
    frame = index.nearest(make(codes[0]), 2).to_frame()
    assert list(frame.columns) == ["name", "query", "distance", "label", "title", "words"]
    assert frame[["name", "distance", "label", "title"]].values.tolist() == [["a", 0, "x", "A"], ["c", 1, "x", "C"]]
    assert repr(index) == "CodeIndex(3 documents, 3 bits)"
    assert repr(index.nearest(codes, 2)).startswith("Hits(6 rows: query (6,), distance (6,)")


def test_of_an_index_of_one_document_nothing_is_nearest_to_it(tmp_path, capsys):
    """And so the table is one of no rows."""
    index = CodeIndex.build(np.array([[True, False, True]]), ["alone"], out=tmp_path / "one.index")
    found = index.nearest_to("alone")
    assert len(found) == 0
    assert found.of(0) == []
    command("search", "--index", tmp_path / "one.index", "--document", "alone")
    assert capsys.readouterr().out.startswith("nearest to alone")
