"""The network trained to the Mobius map: near it, and with the density of its own samples."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Generator

from vae_lightning.data.processes import Mobius, MobiusNetwork


@pytest.fixture(scope="module")
def network() -> MobiusNetwork:
    return MobiusNetwork()


def test_it_is_near_the_map_and_a_function_of_its_seed(network: MobiusNetwork) -> None:
    """Nearer than the noise, whose standard deviation is 0.0032, for codes of N(0, I)."""
    z = torch.randn(2000, 2, dtype=torch.float64, generator=Generator().manual_seed(1))
    error = (network.decode(z) - Mobius().decode(z)).square().sum(-1).mean().sqrt()
    assert error < 0.004
    small = [MobiusNetwork(4, seed=seed).decode(z) for seed in (0, 0, 1)]
    assert torch.equal(small[0], small[1])
    assert not torch.allclose(small[0], small[2])


def test_its_density_by_brute_force_over_codes(network: MobiusNetwork) -> None:
    """A fine grid of the codes from which an observation can come."""
    x = network.sample(8, Generator().manual_seed(0)).double()
    torch.testing.assert_close(network.decode(network.invert(x)), x, rtol=0, atol=1e-12)
    line = torch.arange(-0.8, 0.8, 0.005, dtype=torch.float64)
    for point, z in zip(x, network.invert(x), strict=True):
        grid = torch.cartesian_prod(line, line) + z
        brute = network.log_joint(point, grid).logsumexp(0) + 2 * math.log(0.005)
        assert float(network.log_prob(point)) == pytest.approx(float(brute), abs=1e-8)


def test_its_entropy_is_that_of_the_map_almost(network: MobiusNetwork) -> None:
    """1.926 nats for the map; within 4 standard errors of 200 observations, and 0.02 for the fit."""
    values = network.log_prob(network.sample(200, Generator().manual_seed(2)).double())
    assert float(values.mean()) == pytest.approx(1.92597, abs=0.02 + 4 * float(values.std()) / 200**0.5)


def test_no_units() -> None:
    with pytest.raises(ValueError, match="hidden counts units"):
        MobiusNetwork(0)
