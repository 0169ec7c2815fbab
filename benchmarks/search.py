"""Search over many codes: queries a second, recall, time to build and memory, beside faiss and scikit-learn.

    OMP_NUM_THREADS=1 python benchmarks/search.py                        # 10,000,000 codes of 64 and of 16 bits
    OMP_NUM_THREADS=1 python benchmarks/search.py --num 100000 --bits 32

Codes are clustered: one of N / 1,000 centers each, of whose bits 5 % are flipped; queries are more of them. Recall@10
is the share of the found that are as near as the tenth of the exact answer. Each line is a process of its own; its
memory is the largest that it had, mapped pages of the index included, without what it had before.
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


def row(name: str, *cells: str) -> None:
    print(f"| {' | '.join([name, *cells])} |", flush=True)


def measure(num: int, bits: int, num_queries: int, path: Path, with_peers: bool) -> None:
    queries = clustered(num_queries, bits, 0, centers_of(num, bits))
    _, built, memory = alone(write, path, num, bits)
    size = path.stat().st_size / 1e6
    (took, reaches), _, used = alone(search, path, queries, False)
    few = queries[: max(1, num_queries // 10)]
    (scanned, exact), _, compared = alone(search, path, few, True)
    recall = np.mean([ours == theirs for ours, theirs in zip(reaches, exact, strict=False)])
    print(f"\n{num:,} codes of {bits} bits; {num_queries:,} queries; index of {size:,.0f} MB\n")
    row("what", "build, s", "memory of it, MB", "queries a second", "recall@10", "memory of search, MB")
    row("---", "---", "---", "---", "---", "---")
    row("`CodeIndex`", f"{built:.1f}", f"{memory:,.0f}", f"{1 / took:,.0f}", f"{recall:.3f}", f"{used:,.0f}")
    row("`CodeIndex`, `exact=True`", "", "", f"{1 / scanned:,.0f}", "1.000", f"{compared:,.0f}")
    for name, make in peers(bits).items() if with_peers else ():
        (made, each, found), _, needed = alone(peer, make, path, few)
        near = sum(distance <= reach for row, reach in zip(found, exact, strict=True) for distance in row)
        row(name, f"{made:.1f}", f"{needed:,.0f}", f"{1 / each:,.0f}", f"{near / (K * len(few)):.3f}", "")


def scikit_learn(num: int, num_queries: int) -> None:
    """Documents of 100 words of a Zipf law over 10,000: nearest by 64 components, and by the signs of those."""
    rng = np.random.default_rng(0)
    words = np.minimum(rng.zipf(1.2, 100 * num), 10_000) - 1
    counts = scipy.sparse.csr_array((np.ones(len(words)), (np.arange(len(words)) // 100, words)), shape=(num, 10_000))
    x = TruncatedSVD(64, n_iter=2, random_state=0).fit_transform(counts)
    start = time.perf_counter()
    neighbors = NearestNeighbors(n_neighbors=K).fit(x)
    built = time.perf_counter() - start
    start = time.perf_counter()
    neighbors.kneighbors(x[:num_queries])
    took = (time.perf_counter() - start) / num_queries
    codes = x > np.median(x, 0)
    start = time.perf_counter()
    index = CodeIndex.build(codes, [str(n) for n in range(num)])
    ours_built = time.perf_counter() - start
    start = time.perf_counter()
    index.finder().nearest(pack(codes[:num_queries]), K)
    ours = (time.perf_counter() - start) / num_queries
    print(f"\n{num:,} documents, TruncatedSVD to 64 components; {num_queries:,} queries\n")
    row("what", "build, s", "queries a second", "bytes a document")
    row("---", "---", "---", "---")
    row("scikit-learn `NearestNeighbors` on the components", f"{built:.1f}", f"{1 / took:,.0f}", "512")
    row("`CodeIndex` on their signs", f"{ours_built:.1f}", f"{1 / ours:,.0f}", "8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--num", type=int, default=10_000_000, help="codes")
    parser.add_argument("--bits", type=int, nargs="+", default=[64, 16])
    parser.add_argument("--queries", type=int, default=1000)
    parser.add_argument("--documents", type=int, default=100_000, help="for scikit-learn")
    parser.add_argument("--without_peers", action="store_true", help="leave out the other indexes of faiss")
    options = parser.parse_args()
    faiss.omp_set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        for bits in options.bits:
            path = Path(folder, f"{bits}.index")
            measure(options.num, bits, options.queries, path, not options.without_peers)
            path.unlink()
    scikit_learn(options.documents, options.queries)


if __name__ == "__main__":
    main()
