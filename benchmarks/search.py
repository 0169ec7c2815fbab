"""Search over many codes: queries a second, recall, time to build and memory, beside faiss and scikit-learn.

    OMP_NUM_THREADS=1 python benchmarks/search.py                        # 2,000,000 codes of 64 and of 16 bits
    OMP_NUM_THREADS=1 python benchmarks/search.py codes --num 10000000 --without_peers

Codes are clustered: one of N / 1,000 centers each, of whose bits 5 % are flipped; queries are more of them. Recall@10
is the share of the found that are as near as the tenth of the exact answer. Each way is a process of its own; its
memory is the largest that it had, mapped pages of the index included, without what it had before. Costs are by the
clock, each of one run.
"""

from __future__ import annotations

import argparse
import multiprocessing
import resource
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import faiss
import numpy as np
import scipy.sparse
from comparisons import AsFast, Comparison, Costs, Row, in_turns, main, timed
from sklearn.decomposition import TruncatedSVD
from sklearn.neighbors import NearestNeighbors

from vae_lightning.search import CodeIndex
from vae_lightning.search.building import build
from vae_lightning.search.hamming.ranking import hamming
from vae_lightning.search.writing import Batch, pack

CHUNK = 200_000
K = 10


def clustered(num: int, bits: int, seed: int, centers: np.ndarray) -> np.ndarray:
    rng = np.random.default_rng(seed)
    flipped = rng.random((num, bits), dtype=np.float32) < 0.05
    return pack(centers[rng.integers(0, len(centers), num)] ^ flipped)


def centers_of(num: int, bits: int) -> np.ndarray:
    return np.random.default_rng(0).random((max(1, num // 1000), bits)) < 0.5


def batches(num: int, bits: int) -> Iterator[Batch]:
    centers = centers_of(num, bits)
    for start in range(0, num, CHUNK):
        size = min(CHUNK, num - start)
        names = [f"document-{n}.txt" for n in range(start, start + size)]
        nothing = np.empty((size, 0), np.int64)
        yield Batch(clustered(size, bits, 1 + start, centers), names, [""] * size, [None] * size, nothing)


def alone(run: Callable[..., Any], *arguments: Any) -> tuple[Any, float, float]:
    """What it returns in a process of its own, the seconds it took, and the megabytes that it needed."""
    receive, send = multiprocessing.Pipe(duplex=False)

    def child() -> None:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        start = time.perf_counter()
        answer = run(*arguments)
        took = time.perf_counter() - start
        send.send((answer, took, (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1e3))

    process = multiprocessing.get_context("fork").Process(target=child)
    process.start()
    send.close()
    try:
        return receive.recv()
    finally:
        process.join()


def write(path: Path, num: int, bits: int) -> None:
    build(batches(num, bits), bits, (), path, None)


def search(path: Path, queries: np.ndarray, exact: bool) -> tuple[float, list[int]]:
    """Seconds a query, and how far the tenth is of each."""
    finder = CodeIndex.open(path).finder(exact)
    finder.nearest(queries[:1], K)
    start = time.perf_counter()
    found = finder.nearest(queries, K)
    return (time.perf_counter() - start) / len(queries), [int(near.distances[-1]) for near in found]


def peer(make: Callable[[], Any], path: Path, queries: np.ndarray) -> tuple[float, float, list[list[int]]]:
    """Seconds to build, seconds a query, and the distances found."""
    codes = CodeIndex.open(path).codes
    start = time.perf_counter()
    index = make()
    if not index.is_trained:
        index.train(np.ascontiguousarray(codes[:: max(1, len(codes) // CHUNK)]))
    index.add(np.ascontiguousarray(codes))
    built = time.perf_counter() - start
    start = time.perf_counter()
    _, rows = index.search(queries, K)
    took = (time.perf_counter() - start) / len(queries)
    distances = [hamming(codes[row[row >= 0]], code).tolist() for row, code in zip(rows, queries, strict=True)]
    return built, took, distances


def hashed(bits: int, flips: int) -> Any:
    index = faiss.IndexBinaryHash(bits, min(16, bits))
    index.nflip = flips
    return index


def multi_hashed(bits: int, flips: int) -> Any:
    index = faiss.IndexBinaryMultiHash(bits, -(-bits // 16), min(16, bits))
    index.nflip = flips
    return index


def inverted(bits: int, lists: int, probes: int) -> Any:
    index = faiss.IndexBinaryIVF(faiss.IndexBinaryFlat(bits), bits, lists)
    index.own_fields, index.nprobe = False, probes
    index.quantizer.this.disown()
    return index


def peers(bits: int) -> dict[str, Callable[[], Any]]:
    named: dict[str, Callable[[], Any]] = {}
    for flips in (0, 1, 2):
        named[f"faiss IndexBinaryMultiHash, {flips} flips"] = lambda flips=flips: multi_hashed(bits, flips)
    named["faiss IndexBinaryHash, 1 flip"] = lambda: hashed(bits, 1)
    for probes in (1, 16):
        named[f"faiss IndexBinaryIVF, {probes} of 1,024"] = lambda probes=probes: inverted(bits, 1024, probes)
    return named


def codes(asked: argparse.Namespace) -> Iterator[Row]:
    """Codes of each number of bits."""
    faiss.omp_set_num_threads(1)
    num, queries = (20_000, 50) if asked.quick else (asked.num, asked.queries)
    with tempfile.TemporaryDirectory() as folder:
        for bits in asked.bits:
            path = Path(folder, f"{bits}.index")
            yield from measure(num, bits, queries, path, not asked.without_peers)
            path.unlink()


def measure(num: int, bits: int, num_queries: int, path: Path, with_peers: bool) -> Iterator[Row]:
    """Ours beside a comparison with every code, and beside faiss's other indexes."""
    queries = clustered(num_queries, bits, 0, centers_of(num, bits))
    _, built, memory = alone(write, path, num, bits)
    (took, reaches), _, used = alone(search, path, queries, False)
    few = queries[: max(1, num_queries // 10)]
    (scanned, exact), _, compared = alone(search, path, few, True)
    recall = np.mean([ours == theirs for ours, theirs in zip(reaches, exact, strict=False)])
    what = f"search of {num:,} codes of {bits} bits"
    note = (
        f"recall {recall:.3f}; {used:,.0f} MB, exact {compared:,.0f} MB; a file of {path.stat().st_size / 1e6:,.0f} MB"
    )
    query: dict[str, list[float]] = {"ours": [1e3 * took], "exact=True": [1e3 * scanned]}
    yield Comparison(f"{what}, a query", "ours", "exact=True", AsFast(), "clock ms", note=note).row(query)
    for name, make in peers(bits).items() if with_peers else ():
        (made, each, found), _, needed = alone(peer, make, path, few)
        near = sum(distance <= reach for row, reach in zip(found, exact, strict=True) for distance in row)
        query[name] = [1e3 * each]
        note = f"its recall {near / (K * len(few)):.3f}"
        yield Comparison(f"{what}, a query", "ours", name, AsFast(), "clock ms", note=note).row(query)
        costs: Costs = {"ours": [built], name: [made]}
        note = f"ours {memory:,.0f} MB with names and checksums, {needed:,.0f} MB"
        yield Comparison(f"{what}, building", "ours", name, AsFast(), "clock s", note=note).row(costs)


def documents(asked: argparse.Namespace) -> Iterator[Row]:
    """Documents of 100 words of a Zipf law over 10,000: nearest by 64 components, and by the signs of those."""
    num, num_queries = (2_000, 50) if asked.quick else (asked.documents, asked.queries)
    rng = np.random.default_rng(0)
    words = np.minimum(rng.zipf(1.2, 100 * num), 10_000) - 1
    counts = scipy.sparse.csr_array((np.ones(len(words)), (np.arange(len(words)) // 100, words)), shape=(num, 10_000))
    x = TruncatedSVD(64, n_iter=2, random_state=0).fit_transform(counts)
    signs = x > np.median(x, 0)
    neighbors, index = NearestNeighbors(n_neighbors=K), CodeIndex.build(signs, [str(n) for n in range(num)])
    building = {
        "ours": timed(lambda: CodeIndex.build(signs, [str(n) for n in range(num)]), unit=1.0, clock=time.perf_counter),
        "scikit-learn": timed(lambda: neighbors.fit(x), unit=1.0, clock=time.perf_counter),
    }
    finder, packed = index.finder(), pack(signs[:num_queries])
    query = {
        "ours": timed(lambda: finder.nearest(packed, K), unit=1e3 / num_queries, clock=time.perf_counter),
        "scikit-learn": timed(lambda: neighbors.kneighbors(x[:num_queries]), 1, 1e3 / num_queries, time.perf_counter),
    }
    what, peer = f"search of {num:,} documents by 64 signs", "scikit-learn, NearestNeighbors of 64 components"
    costs = in_turns(building, 1 if asked.quick else 3)
    yield Comparison(f"{what}, building", "ours", "scikit-learn", AsFast(), "clock s", peer).row(costs)
    costs = in_turns(query, 1 if asked.quick else 3)
    note = "8 bytes a document, and 512"
    yield Comparison(f"{what}, a query", "ours", "scikit-learn", AsFast(), "clock ms", peer, note).row(costs)


def options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--num", type=int, default=2_000_000, help="codes; up to a million are scanned, not looked up")
    parser.add_argument("--bits", type=int, nargs="+", default=[64, 16])
    parser.add_argument("--queries", type=int, default=500)
    parser.add_argument("--documents", type=int, default=20_000, help="for scikit-learn")
    parser.add_argument("--without_peers", action="store_true", help="leave out the other indexes of faiss")


if __name__ == "__main__":
    main({"codes": codes, "documents": documents}, __doc__, options)
