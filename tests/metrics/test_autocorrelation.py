"""Autocorrelation times against the closed form of AR(1) series."""

import pytest
import torch
from torch import Tensor

from vae_lightning.metrics.functional import autocorrelation_time


def autoregressive(rho: float, steps: int = 4000, chains: int = 20) -> Tensor:
    """Stationary series of x' = rho x + noise, whose tau is (1 + rho) / (1 - rho)."""
    torch.manual_seed(0)
    noise, x = (1 - rho**2) ** 0.5 * torch.randn(steps, chains), torch.randn(chains)
    rows = []
    for step in noise:
        x = rho * x + step
        rows.append(x)
    return torch.stack(rows)


@pytest.mark.parametrize("rho", [-0.5, 0.0, 0.5, 0.9])
def test_first_order_series(rho: float) -> None:
    """Within 4 relative standard errors, each sqrt(2 (2 W + 1) / N) for W = 5 tau and N = 80,000 values, and 0.05."""
    exact = (1 + rho) / (1 - rho)
    error = (2 * (2 * 5 * exact + 1) / 80_000) ** 0.5
    assert abs(autocorrelation_time(autoregressive(rho)) - exact) < 4 * error * exact + 0.05


def test_chains_that_do_not_mix_have_no_time() -> None:
    torch.manual_seed(0)
    stuck = torch.rand(100).round().expand(500, -1)
    assert autocorrelation_time(stuck) == autocorrelation_time(stuck + 0.1 * torch.randn(500, 100)) == torch.inf
    assert autocorrelation_time(1 + 3 * autoregressive(0.5)) == pytest.approx(autocorrelation_time(autoregressive(0.5)))


def test_what_has_none() -> None:
    with pytest.raises(ValueError, match=r"at least 2 steps, got values \(1, 3\)"):
        autocorrelation_time(torch.zeros(1, 3))
    with pytest.raises(ValueError, match="the same at all steps of all chains"):
        autocorrelation_time(torch.ones(5, 3))
