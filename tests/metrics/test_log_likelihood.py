"""LogLikelihood: log-weights by batches and processes -> the figures of all of them at once."""

import itertools
import math
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from torch import Tensor

from vae_lightning.metrics import InferenceGaps, LogLikelihood
from vae_lightning.metrics.functional import (
    effective_sample_size,
    grouped_bound,
    importance_weighted_bound,
    importance_weighted_variance,
    jackknife_bound,
    mean_over_data,
)

N, KS = 31, (1, 3, 10, 30)
SHARES = {"odd": [[slice(0, 9), slice(20, 31)], [slice(9, 20)]], "none": [[], [slice(0, 31)]]}


def log_weights() -> Tensor:
    """30 samples of 31 observations whose likelihoods differ widely."""
    noise = torch.randn(30, N, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    return 1.5 * noise - 500 + 20 * torch.linspace(-1, 1, N, dtype=torch.float64)


def figures(batches: list[slice]) -> dict[str, float]:
    metric, gaps, weights = LogLikelihood(KS), InferenceGaps(), log_weights()
    for rows in batches:
        metric.update(weights[:, rows])
        gaps.update(weights[0, rows], weights[1, rows], weights[2, rows])
    return {name: value.item() for name, value in (metric.compute() | gaps.compute()).items()}


def test_the_figures_are_means_over_the_observations() -> None:
    weights, found = log_weights(), figures([slice(0, 7), slice(7, 8), slice(8, N)])
    columns = {f"log_likelihood_k{k}": grouped_bound(weights, k) for k in KS}
    columns |= {"log_likelihood": importance_weighted_bound(weights), "jackknife": jackknife_bound(weights)}
    columns |= {"effective_sample_size": effective_sample_size(weights)}
    columns |= {"approximation_gap": weights[0] - weights[1], "amortisation_gap": weights[1] - weights[2]}
    expected = {"effective_sample_fraction": effective_sample_size(weights).mean().item() / 30}
    expected["log_likelihood_sampling_error"] = importance_weighted_variance(weights).sum().sqrt().item() / N
    for name, values in columns.items():
        estimate = mean_over_data(values)
        expected |= {name: estimate.mean.item(), f"{name}_error": estimate.standard_error.item()}
    assert found == pytest.approx(expected, rel=1e-10)


def test_a_mean_far_from_zero_costs_no_digits_of_the_error() -> None:
    metric = LogLikelihood([1])
    for value in (1e9, 1e9 + 1, 1e9 + 2):
        metric.update(torch.tensor([[value]], dtype=torch.float64))
    assert metric.compute()["log_likelihood_error"].item() == pytest.approx(1 / math.sqrt(3))


def test_smaller_numbers_use_every_sample_in_disjoint_groups() -> None:
    weights = log_weights()
    groups = [importance_weighted_bound(weights[start : start + 7]) for start in (0, 7, 14, 21)]
    torch.testing.assert_close(grouped_bound(weights, 7), torch.stack(groups).mean(0))
    torch.testing.assert_close(grouped_bound(weights, 1), weights.mean(0))
    torch.testing.assert_close(grouped_bound(weights, 30), importance_weighted_bound(weights))


def test_rises_with_the_number_of_samples_where_they_divide_each_other() -> None:
    """Jensen's inequality, for the figures themselves: no error bar."""
    found = figures([slice(0, N)])
    bounds = [found[f"log_likelihood_k{k}"] for k in (1, 3, 30)]
    assert all(low < high for low, high in itertools.pairwise(bounds))
    assert found["log_likelihood_k1"] < found["log_likelihood_k10"] < found["log_likelihood_k30"]


def test_one_sample_is_the_elbo() -> None:
    metric, weights = LogLikelihood([1]), log_weights()[:1]
    metric.update(weights.float())
    found = metric.compute()
    assert found["log_likelihood"].item() == found["log_likelihood_k1"].item() == pytest.approx(weights.mean().item())
    assert found["effective_sample_fraction"] == 1
    assert "jackknife" not in found
    assert found["log_likelihood_sampling_error"].isnan()  # one sample says nothing of how much samples differ
    assert found["log_likelihood"].dtype == torch.float64


def test_the_error_of_one_observation_is_not_a_number() -> None:
    metric = LogLikelihood([1, 3])
    metric.update(log_weights()[:3, :1])
    assert metric.compute()["log_likelihood_error"].isnan()


def test_an_empty_batch_changes_nothing() -> None:
    metric = LogLikelihood([30])
    for rows in (slice(0, 0), slice(0, N), slice(N, N)):
        metric.update(log_weights()[:, rows])
    assert metric.compute()["log_likelihood"].item() == pytest.approx(figures([slice(0, N)])["log_likelihood"])


def test_reset_forgets() -> None:
    metric = LogLikelihood([30])
    metric.update(log_weights() + 7)
    metric.reset()
    metric.update(log_weights())
    assert metric.compute()["log_likelihood"].item() == pytest.approx(figures([slice(0, N)])["log_likelihood"])


def run_process(rank: int, folder: str) -> None:
    dist.init_process_group("gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=2)
    torch.save({name: figures(shares[rank]) for name, shares in SHARES.items()}, f"{folder}/{rank}.pt")
    dist.destroy_process_group()


@pytest.mark.filterwarnings("ignore:The ``compute`` method of metric")  # a process without batches
def test_two_processes_give_the_figures_of_one(tmp_path: Path) -> None:
    mp.start_processes(run_process, args=(str(tmp_path),), nprocs=2, start_method="fork")
    expected = figures([slice(0, N)])
    for rank, shares in itertools.product(range(2), SHARES):
        found = torch.load(tmp_path / f"{rank}.pt", weights_only=True)[shares]
        assert found == pytest.approx(expected, rel=1e-12), (shares, rank)


@pytest.mark.parametrize(
    ("ks", "error", "message"),
    [
        ([], ValueError, r"such as \[1, 50, 1000\]; got \[\]"),
        ([0, 5], ValueError, r">= 1.*got \[0, 5\]"),
        ([5, 5], ValueError, r"different.*got \[5, 5\]"),
    ],
)
def test_bad_numbers_of_samples(ks: list[int], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        LogLikelihood(ks)


def test_another_number_of_samples_than_announced() -> None:
    with pytest.raises(ValueError, match=r"log-weights \(10, B\), got shape \(30, 31\)"):
        LogLikelihood([1, 10]).update(log_weights())
    with pytest.raises(ValueError, match=r"S >= 31 samples, got shape \(30, 31\): raise K"):
        grouped_bound(log_weights(), 31)
    with pytest.raises(ValueError, match="got k = 0"):
        grouped_bound(log_weights(), 0)
