"""Active units against closed forms, and their merging over batches far from zero."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from vae_lightning.metrics import ActiveUnits
from vae_lightning.metrics.functional import active_units


def test_a_table_by_hand():
    means = torch.tensor([[0, 1], [2, 1.1], [4, 0.9], [6, 1]])
    units = active_units(means)
    assert units.variances.tolist() == pytest.approx([20 / 3, 0.02 / 3], rel=1e-6)  # division by N - 1
    assert units.active.tolist() == [True, False]
    assert units.count == 1
    assert active_units(means, threshold=0.005).count == 2


def test_linear_encoder_has_the_variance_of_its_rows():
    # x ~ N(0, C), mean W x: A = diag(W C W^T). Points with exactly that covariance, so that no error bar is needed.
    covariance = torch.tensor([[1, 0.5, 0], [0.5, 2, 0], [0, 0, 0.5]], dtype=torch.float64)
    weight = torch.tensor([[0.5, 0, 0], [0.05, 0.02, 0.1], [0, 0, 0], [0, 0, 0.2]], dtype=torch.float64)
    root = torch.linalg.cholesky(covariance)
    x = torch.cat((root.mT, -root.mT)) * (5 / 2) ** 0.5  # six points: the sum of squares is 2 * 5/2 C = (6 - 1) C
    units = active_units(x @ weight.mT)
    assert units.variances.tolist() == pytest.approx([0.25, 0.0093, 0, 0.02], abs=1e-12)
    assert units.count == 2


@given(seed=st.integers(0, 10_000), cuts=st.lists(st.integers(1, 30), min_size=1, max_size=5))
def test_batches_merge_to_the_variance_of_all(seed, cuts):
    sizes = [*cuts, 2]
    means = np.random.default_rng(seed).standard_normal((sum(sizes), 2, 3)) * 0.1 + 1e6
    metric = ActiveUnits()
    for batch in torch.from_numpy(means).split(sizes):
        metric.update(batch)
    figures = metric.compute()
    expected = means.reshape(len(means), 6).var(0, ddof=1)
    assert figures["variances"].tolist() == pytest.approx(
        expected.tolist(), rel=1e-7
    )  # sums of squares would be off by 1e-2
    assert figures["count"] == active_units(torch.from_numpy(means)).count == (expected > 0.01).sum()


def test_half_precision_means_are_summed_in_double():
    means = torch.randn(400, 3, generator=torch.Generator().manual_seed(0)).bfloat16()
    assert active_units(means).variances.tolist() == pytest.approx(means.double().var(0).tolist(), rel=1e-12)


def test_forward_gives_the_batch_and_keeps_the_whole():
    metric = ActiveUnits()
    first, second = torch.randn(2, 10, 3, generator=torch.Generator().manual_seed(0))
    metric(first)
    batch = metric(second)
    assert batch["variances"].tolist() == pytest.approx(second.var(0).tolist(), rel=1e-5)
    assert metric.compute()["variances"].tolist() == pytest.approx(torch.cat((first, second)).var(0).tolist(), rel=1e-5)


@pytest.mark.parametrize(
    ("means", "threshold", "message"),
    [
        (torch.zeros(1, 3), 0.01, "two observations or more, got 1"),
        (torch.zeros(0, 3), 0.01, "N >= 1"),
        (torch.full((4, 3), torch.nan), 0.01, "finite"),
        (torch.zeros(4, 3), -1.0, "threshold >= 0"),
    ],
)
def test_errors_are_one_clear_line(means, threshold, message):
    with pytest.raises(ValueError, match=message):
        active_units(means, threshold)


def test_metric_errors():
    with pytest.raises(ValueError, match="threshold >= 0"):
        ActiveUnits(threshold=-1.0)
    metric = ActiveUnits()
    metric.update(torch.zeros(1, 3))
    with pytest.raises(ValueError, match="two observations or more, got 1"):
        metric.compute()
