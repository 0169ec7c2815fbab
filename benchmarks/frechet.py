"""Fréchet distances of 2,048 features, and the state that they are computed from, beside torchmetrics and pytorch-fid.

    OMP_NUM_THREADS=1 python benchmarks/frechet.py [distance] [state]

`distance` is of 10,000 and of 1,000 images a side. Everyone gets moments in float64; below full rank ours has the rows
besides, as its metric does. `state` is of metrics that are given batches of 50 images' features: the update with one
batch, and the distance from the state of 2,500 images a side. All distances are first seen to agree.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable, Iterator
from functools import partial

import torch
from comparisons import AsFast, Comparison, Contestants, Row, in_turns, main, timed
from pytorch_fid.fid_score import calculate_frechet_distance
from torch import Tensor, nn
from torchmetrics import Metric
from torchmetrics.image.fid import FrechetInceptionDistance as Peer
from torchmetrics.image.fid import _compute_fid

from vae_lightning.metrics import FrechetInceptionDistance
from vae_lightning.metrics.functional.frechet import frechet_distance, frechet_distance_of_features

FEATURES = 2_048
BATCH, SIDE, IMAGES = 50, 32, 2_500
AIMS = {10_000: (2.5, 8.0), 1_000: (10.0, 30.0)}
"""Times as long as ours: torchmetrics, pytorch-fid."""


def features(n: int, seed: int) -> Tensor:
    """Rows that are correlated as a network's are: positive, and with principal variances that fall as a power."""
    spectrum = torch.arange(1, FEATURES + 1).double().pow(-0.6)
    turn = torch.linalg.qr(torch.randn(FEATURES, FEATURES, generator=torch.Generator().manual_seed(0)).double())[0]
    normal = torch.randn(n, FEATURES, generator=torch.Generator().manual_seed(1 + seed)).double()
    return (0.4 + 0.02 * seed + (normal * spectrum) @ turn.mT).relu()


def agreeing(ways: dict[str, Callable[[], object]], tolerance: float) -> Contestants:
    """Measures of ways to one figure; AssertionError unless all come to the first's."""
    values = [float(way()) for way in ways.values()]  # type: ignore[arg-type]
    assert all(math.isclose(value, values[0], rel_tol=tolerance) for value in values), values
    return {name: timed(way, unit=1.0) for name, way in ways.items()}


def distance(asked: argparse.Namespace) -> Iterator[Row]:
    """From moments, and for few images from rows."""
    for number, aims in AIMS.items():
        real, generated = features(number, 0), features(number, 1)
        moments = (real.mean(0), real.T.cov(), generated.mean(0), generated.T.cov())
        yield from distances(number, (real, generated), moments, aims, 1 if asked.quick else 3)


def distances(
    number: int, rows: tuple[Tensor, Tensor], moments: tuple[Tensor, ...], aims: tuple[float, float], rounds: int
) -> Iterator[Row]:
    """Of so many images."""
    arrays = tuple(moment.numpy() for moment in moments)
    full = number > FEATURES
    ways: dict[str, Callable[[], object]] = {
        "ours": (lambda: frechet_distance(*moments)) if full else lambda: frechet_distance_of_features(*rows),
        "torchmetrics": lambda: _compute_fid(*moments),
        "pytorch-fid": lambda: calculate_frechet_distance(*arrays),
    }
    if not full:
        ways["ours, from moments alone"] = lambda: frechet_distance(*moments)
    costs = in_turns(agreeing(ways, 1e-4), rounds, warm=0)
    what = f"Fréchet distance, 2,048 features, {number:,} images"
    for name, aim in zip(("torchmetrics", "pytorch-fid"), aims, strict=True):
        yield Comparison(what, "ours", name, AsFast(aim), "s").row(costs)
    if not full:
        yield Comparison(what, "ours", "ours, from moments alone", AsFast(), "s").row(costs)


class Network(nn.Module):
    """3 x 32 x 32 pixels -> the first 2,048 of them, as features that cost nothing."""

    num_features = FEATURES

    def forward(self, images: Tensor) -> Tensor:
        return images.flatten(1)[:, :FEATURES]


def fill(metric: Metric, batches: list[Tensor]) -> None:
    """Both sides from the beginning, the generated of darker images."""
    metric.reset()
    for batch in batches:
        metric.update(batch, real=True)
        metric.update(batch.square(), real=False)


def state(asked: argparse.Namespace) -> Iterator[Row]:
    """Of metrics whose network costs nothing."""
    generator = torch.Generator().manual_seed(0)
    batches = list(torch.rand(500 if asked.quick else IMAGES, 3, SIDE, SIDE, generator=generator).split(BATCH))
    ours = FrechetInceptionDistance(Network(), compute_with_cache=False)
    theirs = Peer(Network(), normalize=True, compute_with_cache=False)
    filling = {
        name: timed(partial(fill, metric, batches), unit=1e3 / len(batches) / 2)
        for name, metric in {"ours": ours, "torchmetrics": theirs}.items()
    }
    costs = in_turns(filling, 1 if asked.quick else 5)
    what = "FID's state, 2,048 features"
    note = "ours keeps rows, too, for its error bars and KID"
    yield Comparison(f"{what}: an update with 50 images", "ours", "torchmetrics", AsFast(), note=note).row(costs)
    ways = {"ours": lambda: ours.compute()["frechet_distance"], "torchmetrics": theirs.compute}
    costs = in_turns(agreeing(ways, 1e-3), 1 if asked.quick else 3, warm=0)
    what, note = f"{what}: the distance of {IMAGES:,} images a side", "ours with its error and KID"
    yield Comparison(what, "ours", "torchmetrics", AsFast(), "s", note=note).row(costs)


if __name__ == "__main__":
    main({"distance": distance, "state": state}, __doc__)
