"""HammingPrecision: batches of codes with labels -> precision of semantic hashes, on any number of processes."""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Float64
from torch import Tensor
from torchmetrics import Metric

from vae_lightning.metrics.functional.hamming import check_codes, check_k, check_radius, neighbourhoods


class HammingPrecision(Metric):
    """Precision@k and precision within a Hamming radius, by shared label, as means over queries.

    Both as `functional.hamming_precision` and `functional.hamming_precision_within` define them: ties by expectation, a
    query that finds none within the radius counts as zero. Give every process the whole base by `index` and its own
    share of the queries by `update`; only float64 sums are kept and merged.

    Examples:
        >>> import torch
        >>> from vae_lightning.metrics import HammingPrecision
        >>> codes, labels = torch.tensor([[0, 0], [0, 0], [1, 1], [1, 1]]).bool(), torch.tensor([0, 0, 1, 1])
        >>> metric = HammingPrecision(k=2)
        >>> metric.index(codes, labels)
        >>> metric.update(codes, labels)
        >>> metric.compute()["precision@2"]
        tensor(1., dtype=torch.float64)
    """

    is_differentiable = False
    higher_is_better = True
    full_state_update = False
    base: Tensor
    base_labels: Tensor
    sums: Tensor
    queries: Tensor

    def __init__(self, k: int = 100, radius: int = 2, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if k < 1:
            raise ValueError(f"precision@k needs k >= 1, got {k}")
        check_radius(radius)
        self.k, self.radius = k, radius
        self.register_buffer("base", torch.empty(0, 0), persistent=False)
        self.register_buffer("base_labels", torch.empty(0, dtype=torch.int64), persistent=False)
        self.add_state("sums", torch.zeros(3, dtype=torch.float64), dist_reduce_fx="sum")
        self.add_state("queries", torch.zeros((), dtype=torch.int64), dist_reduce_fx="sum")

    def index(self, codes: Tensor, labels: Tensor) -> None:
        """Set the (N, m) codes that are searched and their (N,) labels; ValueError when they do not fit or N < k."""
        check_codes(codes, labels, "base")
        check_k(self.k, len(codes))
        self.base, self.base_labels = codes, labels

    def update(self, codes: Tensor, labels: Tensor) -> None:
        """Add a batch of (B, m) query codes with their (B,) labels; ValueError before `index`."""
        if not len(self.base):
            raise ValueError("HammingPrecision has no documents to search: call index(codes, labels) first")
        near = neighbourhoods(codes, self.base, labels, self.base_labels)
        figures = near.precision_at(self.k), near.precision_within(self.radius), near.found_within(self.radius) > 0
        self.sums += torch.stack([figure.sum(dtype=torch.float64) for figure in figures])
        self.queries += len(codes)

    def compute(self) -> dict[str, Float64[Tensor, ""]]:
        """`precision@k`, `precision_within_r` and `found_within_r`, the share of queries that find any within r."""
        names = f"precision@{self.k}", f"precision_within_{self.radius}", f"found_within_{self.radius}"
        return dict(zip(names, self.sums / self.queries, strict=True))
