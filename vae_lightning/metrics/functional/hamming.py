"""Binary codes with labels -> how many of a query's Hamming neighbours share its label, whatever the order of files."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from jaxtyping import Float64, Int64
from torch import Tensor

CHUNK_ENTRIES = 2**20  # distances held at once, whatever the number of queries and documents


@dataclass(frozen=True, eq=False)
class Neighbourhoods:
    """For each of Q queries and each Hamming distance 0..m: the documents there, and those of the query's label."""

    found: Int64[Tensor, "Q distances"]
    relevant: Int64[Tensor, "Q distances"]

    def precision_at(self, k: int) -> Float64[Tensor, " Q"]:
        """Expected share of the query's label among the k nearest, ties at the last distance broken at random.

        With n documents strictly closer than the distance r at which the count reaches k, and t at distance r,
        (relevant_{<r} + relevant_r (k - n) / t) / k. Raises ValueError unless 1 <= k <= number of documents.
        """
        check_k(k, int(self.found[0].sum()))
        reached = self.found.cumsum(-1)
        last = (reached < k).sum(-1, keepdim=True)
        tied, tied_relevant = self.found.gather(-1, last), self.relevant.gather(-1, last)
        closer = reached.gather(-1, last) - tied
        closer_relevant = self.relevant.cumsum(-1).gather(-1, last) - tied_relevant
        expected = closer_relevant.double() + tied_relevant.double() * (k - closer) / tied
        return expected.squeeze(-1) / k

    def precision_within(self, radius: int) -> Float64[Tensor, " Q"]:
        """Share of the query's label among the documents at distance <= radius; 0 for a query that finds none."""
        found = self.found_within(radius)
        return self.relevant[:, : radius + 1].sum(-1).double() / found.clamp(min=1)

    def found_within(self, radius: int) -> Int64[Tensor, " Q"]:
        """How many documents lie at distance <= radius; raises ValueError for a negative radius."""
        check_radius(radius)
        return self.found[:, : radius + 1].sum(-1)


def neighbourhoods(query: Tensor, base: Tensor, query_labels: Tensor, base_labels: Tensor) -> Neighbourhoods:
    """Count the base documents, and those of the same label, at each Hamming distance from each query; exact.

    Codes are bits, (Q, m) and (N, m), as booleans, integers or floats that are 0 or 1; labels are (Q,) and (N,)
    integers. A chunk of queries costs one product of +-1 codes and one histogram: no sorting, and memory that does not
    grow with Q N. Raises ValueError for codes that are not binary, of different lengths, or without their labels.
    """
    check_codes(query, query_labels, "query")
    check_codes(base, base_labels, "base")
    if query.shape[1] != base.shape[1]:
        raise ValueError(
            f"query codes have {query.shape[1]} bits and base codes {base.shape[1]}: use one model for both"
        )
    counts = torch.cat(list(_histograms(query, base, query_labels, base_labels)))
    return Neighbourhoods(found=counts.sum(-1), relevant=counts[..., 1])


def precision_at(
    query: Tensor, base: Tensor, query_labels: Tensor, base_labels: Tensor, k: int = 100
) -> Float64[Tensor, " Q"]:
    """Precision@k of each query: see `hamming_precision`, which is its mean."""
    check_k(k, len(base))
    return neighbourhoods(query, base, query_labels, base_labels).precision_at(k)


def hamming_precision(
    query: Tensor, base: Tensor, query_labels: Tensor, base_labels: Tensor, k: int = 100
) -> Float64[Tensor, ""]:
    """Precision@k by shared label: the mean over queries of E[share of the query's label among its k nearest codes].

    The expectation is over the order of documents at the same distance, so the figure does not depend on the order of
    the file. No query is excluded from its own neighbours: query with documents that are not in the base.

    Args:
        query: codes of the queries, (Q, m) bits as booleans, integers or floats.
        base: codes of the documents searched, (N, m).
        query_labels: (Q,) integers.
        base_labels: (N,) integers.
        k: how many neighbours count, at most N.

    Raises:
        ValueError: k < 1 or k > N, no queries, codes that are not binary or differ in length, labels that do not fit.

    Examples:
        >>> import torch
        >>> from vae_lightning.metrics.functional import hamming_precision
        >>> codes, labels = torch.tensor([[0, 0], [0, 0], [1, 1]]).bool(), torch.tensor([0, 1, 1])
        >>> hamming_precision(codes[:1], codes, labels[:1], labels, k=1)  # a tie of two, one of them right
        tensor(0.5000, dtype=torch.float64)
    """
    return precision_at(query, base, query_labels, base_labels, k).mean()


def hamming_precision_within(
    query: Tensor, base: Tensor, query_labels: Tensor, base_labels: Tensor, radius: int = 2
) -> Float64[Tensor, ""]:
    """Mean over queries of the share of the query's label among all documents at Hamming distance <= radius.

    A query that finds none counts as zero, the convention of the hashing literature: read it beside
    `hamming_found_within`, the share of queries that find any. Arguments and errors as `hamming_precision`.
    """
    check_radius(radius)
    return neighbourhoods(query, base, query_labels, base_labels).precision_within(radius).mean()


def hamming_found_within(query: Tensor, base: Tensor, radius: int = 2) -> Float64[Tensor, ""]:
    """Share of queries with at least one document at Hamming distance <= radius; 1 minus it find none."""
    check_radius(radius)
    labels = (codes.new_zeros(len(codes), dtype=torch.int64) for codes in (query, base))
    return (neighbourhoods(query, base, *labels).found_within(radius) > 0).double().mean()


def check_k(k: int, documents: int) -> None:
    """ValueError unless there are k documents to find."""
    if not 1 <= k <= documents:
        raise ValueError(f"precision@k needs 1 <= k <= {documents}, the number of base documents; got k = {k}")


def check_radius(radius: int) -> None:
    """ValueError for a negative radius."""
    if radius < 0:
        raise ValueError(f"a Hamming radius is 0 or more, got {radius}")


def check_codes(codes: Tensor, labels: Tensor, name: str) -> None:
    """ValueError unless the codes are a non-empty matrix of bits with one label per row."""
    if codes.ndim != 2 or not codes.numel():
        raise ValueError(f"{name} codes must be a non-empty (rows, bits) matrix, got shape {tuple(codes.shape)}")
    if labels.shape != codes.shape[:1]:
        raise ValueError(f"{len(codes)} {name} codes need labels of shape ({len(codes)},), got {tuple(labels.shape)}")
    if codes.dtype != torch.bool and not ((codes == 0) | (codes == 1)).all():
        raise ValueError(f"{name} codes must be binary, 0 or 1: threshold them first")


@torch.no_grad()
def _histograms(query: Tensor, base: Tensor, query_labels: Tensor, base_labels: Tensor) -> Iterator[Tensor]:
    """(chunk, m + 1, 2) counts: documents at each distance, of another label and of the same.

    With codes +-1, m - <q, b> is twice the distance, so adding 1 for a shared label gives each pair the number of its
    bin; below 2^24 these numbers are exact in float32, and at half precision they would not be.
    """
    bits = base.shape[1]
    bins = 2 * (bits + 1)
    rows = max(1, min(CHUNK_ENTRIES // len(base), 2**24 // bins))
    signs = (1 - 2 * base.float()).mT
    with torch.autocast(base.device.type, enabled=False):
        for codes, labels in zip(torch.split(query, rows), torch.split(query_labels, rows), strict=True):
            offsets = bits + bins * torch.arange(len(codes), device=codes.device, dtype=torch.float32)[:, None]
            bin_of_pair = torch.addmm(offsets, 1 - 2 * codes.float(), signs, beta=1, alpha=-1)
            bin_of_pair += labels[:, None] == base_labels
            counts = torch.bincount(bin_of_pair.flatten().int(), minlength=bins * len(codes))
            yield counts.view(len(codes), bits + 1, 2)
