"""The sums over pairs of the Henze-Zirkler statistic are a formula in what is compiled, and one operation elsewhere."""

from __future__ import annotations

import pytest
import torch
from torch.fx.experimental.proxy_tensor import make_fx

from vae_lightning.metrics.functional import fused_henze_zirkler
from vae_lightning.metrics.functional.henze_zirkler_fused import fusable_kernel_sums
from vae_lightning.models.recording.fusable import fusable

SUMS = torch.ops.vae_lightning.kernel_sums.default


def sample(d: int) -> torch.Tensor:
    return torch.randn(2, 20, d, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


@pytest.mark.parametrize(("d", "formulas"), [(1, 1), (3, 1), (7, 0)])
def test_the_statistic_stays_what_it_is(d: int, formulas: int) -> None:
    """Where there are many features the operation stays, so that no kernel of all pairs is held in memory."""
    z = sample(d)
    recorded = make_fx(fused_henze_zirkler)(z)
    made = fusable(recorded)
    assert [node.target for node in recorded.graph.nodes].count(SUMS) == 1
    assert [node.target for node in made.graph.nodes].count(fusable_kernel_sums) == formulas
    torch.testing.assert_close(made(z), fused_henze_zirkler(z))
