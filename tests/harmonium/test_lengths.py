"""annealed_through_lengths: log Z of documents of every length from one run, against enumeration."""

from __future__ import annotations

import pytest
import torch

from vae_lightning.families import Bernoulli, Multinomial
from vae_lightning.harmonium import Harmonium
from vae_lightning.harmonium.annealing import LogMean
from vae_lightning.harmonium.lengths import annealed_through_lengths, equally_long


@pytest.fixture
def model() -> Harmonium:
    torch.manual_seed(0)
    found = Harmonium(Multinomial(30), Bernoulli(6))
    found.weight.data.normal_(0, 0.7)
    found.visible_bias.data.normal_()
    found.hidden_bias.data.normal_()
    return found


@pytest.mark.parametrize("steps", [2, 200])
def test_every_length_is_within_its_error_of_exact(model: Harmonium, steps: int) -> None:
    """2,000 chains; 4 standard errors, which few lengths on the way make larger, yet not wrong."""
    totals = torch.tensor([0.0, 1.0, 3.0, 20.0, 60.0])
    exact = model.given(totals).log_partition().detach().double()
    found = LogMean.of(annealed_through_lengths(model, 2000, totals, steps))
    assert found.value[0] == pytest.approx(float(exact[0]), abs=1e-4)
    assert ((found.value - exact).abs() < 4 * found.stderr + 1e-4).all()
    assert (found.stderr < 0.2).all()


def test_the_weights_are_unbiased(model: Harmonium) -> None:
    """The mean weight of many short runs is Z, not only its log in the limit: 4 standard errors of 20,000 chains."""
    totals = torch.tensor([7.0])
    exact = model.given(totals).log_partition().detach().double()
    ratio = (annealed_through_lengths(model, 20_000, totals, 3) - exact).exp()
    assert abs(float(ratio.mean()) - 1) < 4 * float(ratio.std()) / 20_000**0.5


@pytest.mark.parametrize("totals", [[], [3.0, 2.0], [2.0, 2.0], [-1.0, 2.0]])
def test_lengths_ascend(model: Harmonium, totals: list[float]) -> None:
    with pytest.raises(ValueError, match="must ascend from 0 or more"):
        annealed_through_lengths(model, 2, torch.tensor(totals), 5)


def test_only_documents_have_lengths() -> None:
    with pytest.raises(TypeError, match="only documents have lengths"):
        annealed_through_lengths(Harmonium(Bernoulli(3), Bernoulli(2)), 2, torch.tensor([3.0]), 5)


def test_pairs_of_equal_length() -> None:
    """As many of each length as both have, no row twice."""
    torch.manual_seed(0)
    for n, m in ((50, 70), (70, 50), (5, 0), (0, 5)):
        a, b = torch.randint(1, 20, (n,)).float(), torch.randint(1, 20, (m,)).float()
        i, j = equally_long(a, b)
        assert torch.equal(a[i], b[j])
        assert len(i.unique()) == len(j.unique()) == len(i)
        assert len(i) == sum(min(int((a == k).sum()), int((b == k).sum())) for k in range(20))
