"""Smooth k-NN statistic against reference values, against enumeration of neighbour sets and of all relabellings."""

import itertools
import math

import numpy as np
import pytest
import torch
from torch import Tensor

from vae_lightning.metrics import SmoothKNN
from vae_lightning.metrics.functional import neighbour_edges, smooth_knn
from vae_lightning.metrics.functional.smooth_knn import inclusion_probabilities


def normal(seed: int, *shape: int) -> Tensor:
    return torch.from_numpy(np.random.default_rng(seed).standard_normal(shape))


S1 = normal(0, 6, 2), normal(1, 7, 2) + 1
S2 = normal(2, 20, 3), normal(3, 20, 3)
S3 = normal(4, 100, 2), 1.5 * normal(5, 100, 2)


@pytest.mark.parametrize(
    ("samples", "k", "alpha", "crossing", "mean", "variance", "t"),
    [
        (S1, 1, 1, 5.39410543, 7, 0.22038962, 3.42067341),
        (S1, 1, 10, 3.32231764, 7, 3.42407134, 1.98747731),
        (S1, 2, 1, 11.04285150, 14, 0.71450109, 3.49839342),
        (S1, 3, 10, 13.67595137, 21, 10.84975233, 2.22352034),
        (S1, 5, 1, 29.63740465, 35, 2.12282203, 3.68058805),
        (S1, 1, (0.1, 1, 10), 5.17550046, 7, 0.56754505, 2.42180829),
        (S2, 1, 1, 20.92386975, 20.51282051, 0.25622267, -0.81203845),
        (S2, 1, 10, 22.35056566, 20.51282051, 9.17211649, -0.60680656),
        (S2, 3, 1, 62.71455985, 61.53846154, 1.90146517, -0.85290036),
        (S3, 1, 1, 96.29569430, 100.50251256, 0.41179449, 6.55553610),
        (S3, 1, 10, 90.99006634, 100.50251256, 30.42741640, 1.72448573),
        (S3, 5, 10, 435.24349483, 502.51256281, 271.45945962, 4.08284518),
    ],
)
def test_reference_values(samples, k, alpha, crossing, mean, variance, t):
    edges = neighbour_edges(*samples, k, alpha)
    figures = edges.crossing, edges.mean, edges.variance, edges.standardised, edges.raw
    assert [figure.item() for figure in figures] == pytest.approx([crossing, mean, variance, t, -crossing], abs=6e-9)
    assert smooth_knn(*samples, k, alpha).item() == edges.standardised.item()


def test_exact_null_over_all_relabellings():
    pool = torch.cat(S1)
    values = []
    for first in itertools.combinations(range(13), 6):
        others = [i for i in range(13) if i not in first]
        values.append(smooth_knn(pool[list(first)], pool[others], k=2))
    t = torch.stack(values)
    assert len(t) == math.comb(13, 6)
    assert t.mean().item() == pytest.approx(0, abs=1e-12)
    assert t.std(correction=0).item() == pytest.approx((1 / (1 + 1e-5 / 0.7145010890)) ** 0.5, rel=1e-9)


@pytest.mark.parametrize("k", [1, 2, 3, 6])
def test_inclusion_probabilities_by_enumeration_of_sets(k):
    log_weight = 3 * normal(0, 4, 6)
    expected = torch.zeros_like(log_weight)
    for members in itertools.combinations(range(6), k):
        expected[:, list(members)] += log_weight[:, list(members)].sum(1, keepdim=True).exp()
    expected *= k / expected.sum(1, keepdim=True)
    torch.testing.assert_close(inclusion_probabilities(log_weight, k), expected, rtol=1e-12, atol=0)


@pytest.mark.parametrize("k", [1, 3])
def test_far_points_and_low_temperatures_give_the_hard_neighbours(k):
    x, y = 1e4 * S1[0], 1e4 * S1[1]
    pool = torch.cat((x, y))
    distance = torch.cdist(pool, pool).fill_diagonal_(torch.inf)
    nearest = distance.argsort(1)[:, :k]
    crossing = ((nearest < 6) != (torch.arange(13) < 6)[:, None]).sum().item()
    assert neighbour_edges(x, y, k, alpha=1e4).crossing.item() == pytest.approx(
        crossing, abs=1e-6
    )  # rounding of log-weights near 1e8


def test_all_points_drawn_means_all_edges_cross_as_many_times_as_there_are_pairs():
    edges = neighbour_edges(*S1, k=12)
    assert edges.crossing.item() == pytest.approx(2 * 6 * 7, rel=1e-12)
    assert edges.standardised.item() == pytest.approx(0, abs=1e-6)


def test_order_and_rigid_motion_change_nothing():
    turn = torch.linalg.qr(normal(9, 2, 2)).Q
    moved = [sample.flip(0) @ turn + 5 for sample in S3]
    assert smooth_knn(*moved, k=3).item() == pytest.approx(smooth_knn(*S3, k=3).item(), rel=1e-9)
    assert smooth_knn(S3[1], S3[0]).item() == pytest.approx(smooth_knn(*S3).item(), rel=1e-9)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((torch.zeros(3, 2), torch.zeros(3, 1)), r"got \(3, 2\) and \(3, 1\)"),
        ((torch.zeros(0, 2), torch.zeros(5, 2)), "n1, n2 >= 1"),
        ((torch.zeros(2, 2), torch.zeros(1, 2)), "four points"),
        ((torch.zeros(3, 2), torch.zeros(3, 2), 0), "k = 0"),
        ((torch.zeros(3, 2), torch.zeros(3, 2), 6), "1 <= k < 6"),
        ((torch.zeros(3, 2), torch.zeros(3, 2), 1, -1.0), r"positive finite values of alpha, got \[-1.0\]"),
        ((torch.zeros(3, 2), torch.zeros(3, 2), 1, []), "positive finite"),
        ((torch.zeros(3, 2), torch.full((3, 2), torch.nan)), "finite values"),
    ],
)
def test_errors_are_one_clear_line(arguments, message):
    with pytest.raises(ValueError, match=message) as raised:
        smooth_knn(*arguments)
    assert "\n" not in str(raised.value)


def test_metric_over_uneven_batches():
    metric = SmoothKNN(k=5, alpha=10)
    for x, y in zip(S3[0].split([70, 30]), S3[1].split([1, 99]), strict=True):
        metric.update(x, y)
    assert metric.compute().item() == pytest.approx(4.08284518, abs=6e-9)
    with pytest.raises(ValueError, match="k >= 1, got 0"):
        SmoothKNN(k=0)
    with pytest.raises(ValueError, match=r"alpha, got \[0\.0\]"):
        SmoothKNN(alpha=0.0)
    with pytest.raises(ValueError, match="limit >= 1"):
        SmoothKNN(limit=0)


def test_metric_with_a_limit_takes_the_first_rows_of_either_sample():
    metric = SmoothKNN(limit=40)
    for x, y in zip(S3[0].split([70, 30]), S3[1].split([1, 99]), strict=True):
        metric.update(x, y)
    assert metric.full
    assert metric.compute().item() == pytest.approx(smooth_knn(S3[0][:40], S3[1][:40]).item(), rel=1e-12)


# LinearJTEx: covariance of the truth, and of the best ELBO's decoder; what 100 samples of each are told apart by
TRUTH = torch.tensor([[0.635, 0.875], [0.875, 3.26]]).double()
BEST_ELBO = torch.tensor([[0.6352654922, 0.1684123943], [0.1684123943, 2.8850578185]]).double()


@pytest.mark.parametrize(("other", "expected"), [(TRUTH, 0.01), (BEST_ELBO, 1.75)])
def test_scale_of_the_published_table(other, expected):
    """Means over 400 draws within 4 standard errors; those of the expected ones are 0.02."""
    generator = torch.Generator().manual_seed(0)
    roots = torch.linalg.cholesky(TRUTH), torch.linalg.cholesky(other)
    noise = torch.randn(400, 2, 100, 2, generator=generator).double()
    t = torch.stack([smooth_knn(*(each @ root.mT for each, root in zip(pair, roots, strict=True))) for pair in noise])
    assert abs(t.mean() - expected) < 4 * (t.std() / 20 + 0.02)
    assert t.std() < 2
