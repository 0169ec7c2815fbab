"""Affine fits against numpy's least squares, whatever the batches; the metrics against their definitions."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from torch import Tensor

from vae_lightning.metrics import AffineFit, Consistency, Tightness
from vae_lightning.metrics.affine_fit import Pairs
from vae_lightning.metrics.functional import affine_fit, tightness
from vae_lightning.metrics.functional.affine_fit import PairMoments, fit_moments, pair_moments, unflatten

N, INPUTS, OUTPUTS = 31, 3, 4


def data(offset: float = 0.0) -> tuple[Tensor, Tensor, Tensor]:
    """Inputs, outputs that are nearly affine in them, and statistics."""
    generator = torch.Generator().manual_seed(0)
    t, noise, statistics = (torch.randn(N, k, generator=generator).double() for k in (INPUTS, OUTPUTS, OUTPUTS))
    weight = torch.randn(OUTPUTS, INPUTS, generator=generator).double()
    return t + offset, t @ weight.T + 2 + 0.3 * noise, statistics * torch.arange(OUTPUTS)


def test_is_numpys_least_squares() -> None:
    t, eta, _ = data()
    weights = torch.rand(N, dtype=torch.float64)
    fit, root = affine_fit(t, eta, weights), weights.sqrt()[:, None]
    design = torch.cat((t, torch.ones(N, 1)), 1)
    solution, residual, _, _ = np.linalg.lstsq((root * design).numpy(), (root * eta).numpy())
    np.testing.assert_allclose(torch.cat((fit.weight.T, fit.bias[None])).numpy(), solution, rtol=1e-10)
    np.testing.assert_allclose((fit.residual * weights.sum()).numpy(), residual, rtol=1e-10)
    assert fit.rank == INPUTS


def test_r_squared_and_its_adjustment() -> None:
    t, eta, _ = data()
    fit = affine_fit(t, eta[:, :1])
    r = np.corrcoef(np.column_stack((t, eta[:, 0])), rowvar=False)
    inputs, cross = r[:INPUTS, :INPUTS], r[:INPUTS, INPUTS]
    r2 = cross @ np.linalg.solve(inputs, cross)
    assert float(fit.r_squared()) == pytest.approx(r2)
    assert float(fit.adjusted_r_squared()) == pytest.approx(1 - (1 - r2) * (N - 1) / (N - 1 - INPUTS))


def test_the_adjustment_takes_away_the_optimism() -> None:
    """Outputs that have nothing to do with the inputs: R^2 is 0 on average, within 4 standard errors of 400 tries."""
    torch.manual_seed(0)
    tries = torch.stack([affine_fit(torch.randn(20, 8), torch.randn(20, 1)).adjusted_r_squared() for _ in range(400)])
    assert abs(float(tries.mean())) < 4 * float(tries.std()) / 20
    assert math.isnan(affine_fit(torch.randn(9, 8), torch.randn(9, 1)).adjusted_r_squared())


@pytest.mark.parametrize("offset", [0.0, 1e6])
def test_batches_merge_exactly(offset: float) -> None:
    t, eta, _ = data(offset)
    parts = [pair_moments(t[rows], eta[rows]) for rows in torch.arange(N).split(7)]
    merged = PairMoments.merge(parts[0], parts[1])
    for part in parts[2:]:
        merged = merged.merge(unflatten(part.flat()))
    one, whole = fit_moments(merged), affine_fit(t, eta)
    torch.testing.assert_close(one.weight, whole.weight, rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(one.residual, whole.residual, rtol=1e-8, atol=1e-12)


def test_redundant_inputs_do_not_count_twice() -> None:
    t, eta, _ = data()
    redundant = torch.cat((t, t.sum(1, keepdim=True), torch.ones(N, 1), t[:, :1].float().double()), 1)
    fit, expected = affine_fit(redundant, eta), affine_fit(t, eta)
    assert fit.rank in (INPUTS, INPUTS + 1)  # single precision's rounding may count
    torch.testing.assert_close(affine_fit(redundant[:, :-1], eta).residual, expected.residual)
    assert affine_fit(redundant[:, :-1], eta).rank == INPUTS


def test_what_may_not_be_coupled_is_fitted_by_a_constant() -> None:
    t, eta, _ = data()
    fit = fit_moments(pair_moments(t, eta), slice(0, 2))
    torch.testing.assert_close(fit.residual[2:], eta.var(0, correction=0)[2:])
    torch.testing.assert_close(fit.bias[2:], eta.mean(0)[2:])
    assert not fit.weight[2:].any()


def test_constants_are_affine() -> None:
    constant = torch.full((5, 2), 3.7) + 1e-7 * torch.randn(5, 2)
    assert affine_fit(torch.randn(5, 1), constant).r_squared() == 1


def test_says_what_it_needs() -> None:
    t, eta, _ = data()
    with pytest.raises(ValueError, match="finite"):
        affine_fit(t, eta.log())
    for weights in (torch.zeros(N), -torch.ones(N)):
        with pytest.raises(ValueError, match="weights >= 0"):
            affine_fit(t, eta, weights)
    with pytest.raises(ValueError, match="built without decoder"):
        Consistency().update(decoder=Pairs(t, eta, eta))


def test_outputs_count_with_the_variance_of_their_statistic() -> None:
    t, eta, statistics = data()
    metric = AffineFit()
    for rows in torch.arange(N).split(8):
        metric.update(Pairs(t[rows], eta[rows], statistics[rows]))
    found = metric.compute()
    expected = affine_fit(t, eta).adjusted_r_squared(statistics.var(0, correction=0))
    assert float(found["r2"]) == pytest.approx(float(expected))
    assert float(found["r2_error"]) == pytest.approx(2 * (1 - float(expected)) / math.sqrt(N - 1 - INPUTS))


def posteriors() -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1)
    log_q, log_p = torch.randn(2, 8, N, generator=generator).log_softmax(1)
    return log_q, log_p


def figures(batches: list[slice]) -> dict[str, float]:
    """What all metrics say when this process sees these batches."""
    t, eta, statistics = data()
    log_q, log_p = posteriors()
    metric = Consistency(AffineFit(), AffineFit(slice(0, 2)), Tightness())
    for rows in batches:
        pairs = Pairs(t[rows], eta[rows], statistics[rows])
        metric.update(log_p[:, rows], pairs, pairs, (log_q[:, rows], log_p[:, rows]))
    return {name: float(value) for name, value in metric.compute().items()}


def test_tightness_is_the_functions() -> None:
    found, exact = figures([slice(0, N)]), tightness(*posteriors())
    for name in ("epsilon", "alpha"):
        assert found[name] == pytest.approx(float(getattr(exact, name)))
    assert found["theorem_2_bound"] == pytest.approx(float(exact.bound))
    _, log_weight = posteriors()
    mismatch = log_weight.logsumexp(0) - math.log(len(log_weight)) - log_weight.mean(0)
    assert found["mismatch"] == pytest.approx(float(mismatch.mean()))


SHARES = {"odd": [[slice(0, 9), slice(20, 31)], [slice(9, 20)]], "none": [[], [slice(0, 31)]]}


def run_process(rank: int, folder: str) -> None:
    dist.init_process_group("gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=2)
    torch.save({name: figures(shares[rank]) for name, shares in SHARES.items()}, f"{folder}/{rank}.pt")
    dist.destroy_process_group()


@pytest.mark.filterwarnings("ignore:The ``compute`` method of metric")  # a process without batches
def test_two_processes_give_the_figures_of_one(tmp_path: Path) -> None:
    mp.start_processes(run_process, args=(str(tmp_path),), nprocs=2, start_method="fork")
    expected = figures([slice(0, N)])
    for rank in range(2):
        gathered = torch.load(tmp_path / f"{rank}.pt", weights_only=True)
        for shares in SHARES:
            assert gathered[shares] == pytest.approx(expected, rel=1e-9), (shares, rank)
