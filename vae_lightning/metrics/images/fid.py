"""FrechetInceptionDistance: batches of real and of generated images -> how far apart they are.

The parts, from an image to a figure:

    features.py, inception.py              images -> features, of Inception with the FID weights or of any network
    feature_sample.py                      features of one side -> all that is kept of them, merged over processes
    functional/scatter.py                  features -> count, mean and scatter matrix in float64, merged exactly
    functional/frechet.py                  two Gaussians fitted to them -> FID, and each image's influence on it
    functional/kernel_distance.py          the rows that are kept -> KID with its error
    callbacks/images/fid.py                when, of which images: a Sampler's (samplers.py) and a Reference's
    callbacks/images/references.py         (references.py), whose features are kept in a file (reference_cache.py)
    data/images/inception_weights.py       the weights, downloaded and verified
"""

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

ROWS_OF_BATCH = 2**32
"""More than any batch has: row r of batch b has the key b * ROWS_OF_BATCH + r, so that keys sort by batch, then row."""

States = list[Tensor] | Tensor
"""A state that is concatenated over processes: a list, and a tensor once it has been."""


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

    real_moments: States
    real_rows: States
    real_keys: States
    generated_moments: States
    generated_rows: States
    generated_keys: States

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
        self.insert(FeatureSample.of(self.features(images), batch * ROWS_OF_BATCH), real)

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
        if real:
            self.real_moments, self.real_rows, self.real_keys = [moments], [rows], [keys]
        else:
            self.generated_moments, self.generated_rows, self.generated_keys = [moments], [rows], [keys]

    def _parts(self, real: bool) -> list[FeatureSample]:
        """One for each process that had images."""
        stored = (
            (self.real_moments, self.real_rows, self.real_keys)
            if real
            else (self.generated_moments, self.generated_rows, self.generated_keys)
        )
        if not all(map(len, stored)):
            return []
        moments, rows, keys = map(dim_zero_cat, stored)
        scatters = [_unpack(row, rows.shape[1]) for row in moments]
        # rows and keys of all processes go with the first: merging sorts them
        empty = rows[:0], keys[:0]
        return [FeatureSample(scatters[0], rows, keys), *(FeatureSample(scatter, *empty) for scatter in scatters[1:])]


def _unpack(row: Tensor, dimension: int) -> Scatter:
    return Scatter(row[0], row[1 : 1 + dimension], row[1 + dimension :].view(dimension, dimension))
