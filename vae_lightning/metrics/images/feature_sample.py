"""FeatureSample: one side of a Fréchet distance, all that is kept of its features."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from jaxtyping import Int64
from torch import Tensor

from vae_lightning.metrics.functional.frechet import GaussianFit
from vae_lightning.metrics.functional.scatter import Scatter, merge_scatters

MAX_ROWS = 10_000  # kept for the exact route below full rank, for error bars and for the kernel distance


@dataclass(frozen=True, eq=False)
class FeatureSample:
    """The scatter of n features and the first rows of them, at most `MAX_ROWS`, in the order of their keys.

    Keys number the rows over all batches and processes, so that what is kept, and its order, is the same on any number.
    """

    scatter: Scatter
    rows: Tensor
    keys: Int64[Tensor, " kept"]

    @classmethod
    def of(cls, rows: Tensor, first_key: int) -> FeatureSample:
        """One batch of features (B, d); raises ValueError unless they are that, and finite."""
        if rows.ndim != 2 or not rows.is_floating_point():
            raise ValueError(f"a feature network must give (B, F) floats, got {tuple(rows.shape)} of {rows.dtype}")
        if not rows.isfinite().all():
            raise ValueError("features must be finite, got NaN or infinity: look at what the feature network emits")
        keys = torch.arange(first_key, first_key + len(rows), device=rows.device)
        return cls(Scatter.of(rows), rows[:MAX_ROWS], keys[:MAX_ROWS])

    @classmethod
    def merged(cls, parts: Iterable[FeatureSample]) -> FeatureSample:
        """Merge all parts into one; the first rows by key are kept."""
        parts = list(parts)
        keys = torch.cat([part.keys for part in parts])
        first = keys.argsort()[:MAX_ROWS]
        rows = torch.cat([part.rows for part in parts])[first]
        return cls(merge_scatters(part.scatter for part in parts), rows, keys[first])

    @property
    def count(self) -> int:
        """How many features there were."""
        return int(self.scatter.count)

    @property
    def fit(self) -> GaussianFit:
        """The Gaussian fitted to all of them: by the rows where those are all and no more than features."""
        if self.count == len(self.rows) <= len(self.scatter.mean):
            return GaussianFit.of_features(self.rows)
        return GaussianFit.of_moments(self.scatter.mean, self.scatter.covariance)

    def to(self, device: torch.device) -> FeatureSample:
        """The same on another device."""
        scatter = Scatter(*(value.to(device) for value in vars(self.scatter).values()))
        return FeatureSample(scatter, self.rows.to(device), self.keys.to(device))
