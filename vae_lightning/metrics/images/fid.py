"""FrechetInceptionDistance: batches of real and of generated images -> how far apart they are."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torchmetrics import Metric
from torchmetrics.utilities import dim_zero_cat

from vae_lightning.metrics.functional.kernel_distance import kernel_distance
from vae_lightning.metrics.functional.scatter import Scatter
from vae_lightning.metrics.gather import gather_rows
from vae_lightning.metrics.images.feature_sample import FeatureSample
from vae_lightning.metrics.images.features import Features, NetworkFeatures


class FrechetInceptionDistance(Metric):
    """FID = |m1 - m2|^2 + tr(C1 + C2 - 2 (C1 C2)^(1/2)), of the features' means and covariances, with KID beside it.

    `fid` and `kid` only with `InceptionFeatures` that hold the FID weights; with any other features the same figures
    are called `frechet_distance` and `kernel_distance`, in squared units of those. The first's `..._error` is its
    standard error over generated images, by the derivative of the distance in each one's weight (up to a third too
    large where they are hardly more than features). It does not cover the bias, which is upwards and about in
    proportion to 1/n: compare figures of equal `..._n` and `..._reference_n`, which stand beside.

    Moments are summed in float64 and merged exactly over batches and processes; where there are no more images than
    features, the distance is of their centred rows, exact below full rank. At most 10,000 rows a side are kept.

    Args:
        features: `InceptionFeatures(weights)`, or any network from images (B, C, H, W) in [0, 1] to (B, F).

    Source: Heusel et al. (2017), Eq. 6; bias: Chong and Forsyth, Effectively Unbiased FID (2020); KID: Binkowski et
    al. (2018).

    Examples:
        >>> import torch
        >>> from vae_lightning.metrics import FrechetInceptionDistance
        >>> metric = FrechetInceptionDistance(torch.nn.Flatten())  # features of your own
        >>> metric.update(torch.rand(50, 1, 2, 2), real=True)
        >>> metric.update(torch.rand(50, 1, 2, 2), real=False)
        >>> figures = metric.compute()
        >>> "frechet_distance" in figures, "fid" in figures  # that name is for Inception's features
        (True, False)
    """

    is_differentiable = False
    higher_is_better = False
    full_state_update = False

    def __init__(self, features: Features | nn.Module, **kwargs: Any) -> None:
        super().__init__(**{"dist_sync_fn": gather_rows} | kwargs)
        self.features = features if isinstance(features, Features) else NetworkFeatures(features)
        for side in ("real", "generated"):
            for part in ("moments", "rows", "keys"):
                self.add_state(f"{side}_{part}", [], dist_reduce_fx="cat")

    def update(self, images: Tensor, real: bool, number: int | None = None) -> None:
        """Add a batch of images; ValueError unless they are (B, 1 or 3, H, W) in [0, 1] with finite features.

        `number` is the batch's over all processes: with it error bars and KID, which depend on the order of the images,
        are the same on any number of them. By default batches are numbered as they come to this process.
        """
        batch = self._update_count if number is None else number
        self.insert(FeatureSample.of(self.features(images), batch << 32), real)

    def insert(self, sample: FeatureSample, real: bool) -> None:
        """Add features that were computed before."""
        merged = FeatureSample.merged([*self._parts(real), sample])
        scatter = merged.scatter
        moments = torch.cat((scatter.count[None], scatter.mean, scatter.matrix.flatten()))[None]
        self._set(real, moments, merged.rows, merged.keys)

    def sample(self, real: bool) -> FeatureSample:
        """All that is kept of one side, of this process, or of all within `sync_context`; ValueError below two."""
        parts = self._parts(real)
        count = sum(part.count for part in parts)
        if count < 2:
            side = "real" if real else "generated"
            raise ValueError(f"a Fréchet distance needs two images or more on either side, got {count} {side}")
        return FeatureSample.merged(parts)

    def compute(self) -> dict[str, Tensor]:
        """`fid`, `fid_error`, `fid_n`, `fid_reference_n`, `kid` and `kid_error`, or by their other names."""
        real, generated = self.sample(real=True), self.sample(real=False)
        name, kernel = ("fid", "kid") if self.features.is_fid else ("frechet_distance", "kernel_distance")
        reference, fit = real.fit, generated.fit
        error = fit.influence(reference, generated.rows).std() / generated.scatter.count.sqrt()
        mmd = kernel_distance(real.rows, generated.rows)
        return {
            name: fit.distance(reference),
            f"{name}_error": error,
            f"{name}_n": generated.scatter.count,
            f"{name}_reference_n": real.scatter.count,
            kernel: mmd.mean,
            f"{kernel}_error": mmd.standard_error,
        }

    def _set(self, real: bool, moments: Tensor, rows: Tensor, keys: Tensor) -> None:
        side = "real" if real else "generated"
        for part, value in (("moments", moments), ("rows", rows), ("keys", keys)):
            setattr(self, f"{side}_{part}", [value])

    def _parts(self, real: bool) -> list[FeatureSample]:
        """One for each process that had images."""
        side = "real" if real else "generated"
        stored = [getattr(self, f"{side}_{part}") for part in ("moments", "rows", "keys")]
        if not all(map(len, stored)):
            return []
        moments, rows, keys = map(dim_zero_cat, stored)
        scatters = [_unpack(row, rows.shape[1]) for row in moments]
        # rows and keys of all processes go with the first: merging sorts them
        empty = rows[:0], keys[:0]
        return [FeatureSample(scatters[0], rows, keys), *(FeatureSample(scatter, *empty) for scatter in scatters[1:])]


def _unpack(row: Tensor, dimension: int) -> Scatter:
    return Scatter(row[0], row[1 : 1 + dimension], row[1 + dimension :].view(dimension, dimension))
