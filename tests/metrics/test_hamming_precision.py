"""Precision of hashes against enumeration of tie-breaks, against sorting, and over file orders and processes."""

import itertools
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from vae_lightning.metrics import HammingPrecision
from vae_lightning.metrics.functional import hamming as implementation
from vae_lightning.metrics.functional import (
    hamming_found_within,
    hamming_precision,
    hamming_precision_within,
    neighbourhoods,
    precision_at,
)


def bits(*rows: str) -> Tensor:
    return torch.tensor([[bit == "1" for bit in row] for row in rows])


def random_task(queries: int, documents: int, num_bits: int, seed: int = 0) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """(query, base, query_labels, base_labels): three labels, each with codes of its own kind."""
    generator = torch.Generator().manual_seed(seed)
    centres = torch.rand(3, num_bits, generator=generator) < 0.5
    labels = [torch.randint(3, (n,), generator=generator) for n in (queries, documents)]
    query, base = (centres[y] ^ (torch.rand(len(y), num_bits, generator=generator) < 0.25) for y in labels)
    return query, base, labels[0], labels[1]


def precision_over_all_orders(query: Tensor, base: Tensor, label: int, base_labels: Tensor, k: int) -> float:
    """The mean of precision@k over every order of the file, each sorted by distance, ties in file order."""
    distances = (query ^ base).sum(-1).tolist()
    shares = []
    for order in itertools.permutations(range(len(base))):
        nearest = sorted(order, key=lambda n: distances[n])[:k]
        shares.append(sum(int(base_labels[n]) == label for n in nearest) / k)
    return sum(shares) / len(shares)


def test_a_case_by_hand():
    # distances 0, 1, 1, 1, 3: of the three ties two places are left, and two of the three share the label
    query, base = bits("000"), bits("000", "100", "010", "001", "111")
    query_labels, base_labels = torch.tensor([7]), torch.tensor([7, 7, 7, 1, 7])
    task = query, base, query_labels, base_labels
    assert hamming_precision(*task, k=3) == pytest.approx((1 + 2 * 2 / 3) / 3)
    assert hamming_precision(*task, k=4) == pytest.approx(3 / 4)
    assert hamming_precision_within(*task, radius=0) == 1
    assert hamming_precision_within(*task, radius=2) == pytest.approx(3 / 4)
    assert hamming_precision_within(*task, radius=50) == pytest.approx(4 / 5)


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10_000), documents=st.integers(1, 6), num_bits=st.integers(1, 4), data=st.data())
def test_expectation_over_ties_is_the_mean_over_all_orders(seed, documents, num_bits, data):
    k = data.draw(st.integers(1, documents))
    query, base, query_labels, base_labels = random_task(3, documents, num_bits, seed)
    ours = precision_at(query, base, query_labels, base_labels, k)
    for n in range(3):
        exact = precision_over_all_orders(query[n], base, int(query_labels[n]), base_labels, k)
        assert ours[n].item() == pytest.approx(exact, abs=1e-12)


@pytest.mark.parametrize("num_bits", [8, 13])
def test_expectation_over_ties_is_met_by_random_tie_breaks(num_bits):
    query, base, query_labels, base_labels = random_task(40, 300, num_bits)
    distances = (query[:, None] ^ base).sum(-1)
    relevant = query_labels[:, None] == base_labels
    generator = torch.Generator().manual_seed(1)
    draws = []
    for _ in range(200):
        nearest = (distances + torch.rand(distances.shape, generator=generator)).argsort(1)[:, :50]
        draws.append(relevant.gather(1, nearest).double().mean())
    drawn = torch.stack(draws)
    ours = hamming_precision(query, base, query_labels, base_labels, k=50)
    assert abs(ours - drawn.mean()) < 4 * drawn.std() / len(drawn) ** 0.5


def test_file_order_does_not_matter():
    query, base, query_labels, base_labels = random_task(50, 500, 8)
    order = torch.argsort(base_labels)  # the worst order: with ties in file order, label 0 would win them all
    figures = [
        (precision_at(query, b, query_labels, y, 100), hamming_precision_within(query, b, query_labels, y))
        for b, y in ((base, base_labels), (base[order], base_labels[order]), (base.flip(0), base_labels.flip(0)))
    ]
    for precision, within in figures[1:]:
        assert torch.equal(precision, figures[0][0])
        assert torch.equal(within, figures[0][1])


def test_within_a_radius_counts_a_query_that_finds_none_as_zero():
    query, base, labels = bits("0000", "1111"), bits("0000", "0001"), torch.tensor([0, 0])
    assert hamming_precision_within(query, base, labels, labels, radius=2) == 0.5
    assert hamming_found_within(query, base, radius=2) == 0.5
    assert hamming_found_within(query, base, radius=3) == 1


def test_chunks_change_nothing(monkeypatch):
    task = random_task(37, 90, 20)
    whole = neighbourhoods(*task)
    monkeypatch.setattr(implementation, "CHUNK_ENTRIES", 4 * 90)
    chunked = neighbourhoods(*task)
    assert torch.equal(whole.found, chunked.found)
    assert torch.equal(whole.relevant, chunked.relevant)


def test_codes_may_be_long_and_of_any_binary_type():
    query, base, *labels = random_task(5, 40, 3000)
    expected = torch.stack([torch.bincount((q ^ base).sum(-1), minlength=3001) for q in query])
    assert torch.equal(neighbourhoods(query, base, *labels).found, expected)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(neighbourhoods(query.to(torch.uint8), base.float(), *labels).found, expected)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"k": 7}, r"1 <= k <= 6.*k = 7"),
        ({"k": 0}, "k = 0"),
        ({"query": torch.zeros(2, 5)}, "query codes have 5 bits and base codes 4"),
        ({"query": torch.zeros(4)}, "query codes must be a non-empty"),
        ({"query": torch.zeros(0, 4), "query_labels": torch.zeros(0).long()}, "query codes must be a non-empty"),
        ({"base": torch.full((6, 4), 0.5)}, "base codes must be binary"),
        ({"base": torch.full((6, 4), -1)}, "base codes must be binary"),
        ({"query_labels": torch.zeros(3).long()}, r"labels of shape \(2,\), got \(3,\)"),
    ],
)
def test_errors_are_one_clear_line(change, message):
    arguments = {
        "query": torch.zeros(2, 4),
        "base": torch.ones(6, 4),
        "query_labels": torch.zeros(2).long(),
        "base_labels": torch.zeros(6).long(),
        "k": 3,
    }
    with pytest.raises(ValueError, match=message) as raised:
        hamming_precision(**arguments | change)
    assert "\n" not in str(raised.value)


def test_a_negative_radius_is_an_error():
    with pytest.raises(ValueError, match="radius is 0 or more, got -1"):
        HammingPrecision(radius=-1)


# -- the metric ------------------------------------------------------------------------------------------------------


def expected_figures() -> dict[str, float]:
    task = random_task(23, 60, 6)
    return {
        "precision@10": float(hamming_precision(*task, k=10)),
        "precision_within_1": float(hamming_precision_within(*task, radius=1)),
        "found_within_1": float(hamming_found_within(*task[:2], radius=1)),
    }


def figures_by_batches(batches: list[slice]) -> dict[str, float]:
    query, base, query_labels, base_labels = random_task(23, 60, 6)
    metric = HammingPrecision(k=10, radius=1)
    metric.index(base, base_labels)
    for batch in batches:
        metric.update(query[batch], query_labels[batch])
    return {name: float(value) for name, value in metric.compute().items()}


def run_process(rank: int, folder: str) -> None:
    dist.init_process_group("gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=2)
    batches = [[slice(0, 9), slice(18, 23)], [slice(9, 18)]][rank]
    torch.save(figures_by_batches(batches), f"{folder}/{rank}.pt")
    dist.destroy_process_group()


def test_uneven_batches_give_the_mean_over_queries():
    assert figures_by_batches([slice(0, 20), slice(20, 21), slice(21, 23)]) == pytest.approx(expected_figures())


def test_two_processes_with_uneven_batches_give_the_same_figures(tmp_path: Path):
    mp.start_processes(run_process, args=(str(tmp_path),), nprocs=2, start_method="fork")
    for rank in range(2):
        figures = torch.load(tmp_path / f"{rank}.pt", weights_only=True)
        assert figures == pytest.approx(expected_figures(), rel=1e-12)


def test_reset_keeps_the_documents():
    query, base, query_labels, base_labels = random_task(23, 60, 6)
    metric = HammingPrecision(k=10, radius=1)
    metric.index(base, base_labels)
    metric.update(query[:5], query_labels[:5])
    metric.reset()
    metric.update(query, query_labels)
    assert {name: float(value) for name, value in metric.compute().items()} == pytest.approx(expected_figures())


def test_searching_nothing_is_an_error():
    with pytest.raises(ValueError, match=r"call index\(codes, labels\) first"):
        HammingPrecision().update(torch.zeros(1, 8), torch.zeros(1).long())
    with pytest.raises(ValueError, match="1 <= k <= 5"):
        HammingPrecision(k=6).index(torch.zeros(5, 8), torch.zeros(5).long())
