"""`reproduce tradeoff`: its ends in closed form or known elsewhere, its curve's shape, and the files."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
import torch
from matplotlib.image import imread

from vae_lightning.consistency import best_factorised
from vae_lightning.data.processes import GaussianMixture
from vae_lightning.studies import reproduce
from vae_lightning.studies.tradeoff.optima import (
    Point,
    Quadrature,
    best_rectangle,
    best_two_bits,
    labellings,
    optimum,
)
from vae_lightning.studies.tradeoff.study import SIZES, starts

TRUTH = GaussianMixture()
EXACT = Quadrature.of(TRUTH, 0.4)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("study") / "tradeoff"
    reproduce("tradeoff", "quick", out, seed=0)
    return out


@pytest.fixture(scope="module")
def figures(folder: Path) -> dict[str, dict[str, float]]:
    found: dict[str, dict[str, float]] = {}
    for row in json.loads((folder / "results.json").read_text()):
        found.setdefault(row["cell"], {})[row["metric"]] = row["value"]
    return found


def test_two_bits_are_what_coordinate_ascent_from_every_corner_finds() -> None:
    torch.manual_seed(0)
    log_p = (3 * torch.randn(500, 4, dtype=torch.float64)).log_softmax(-1)
    logits = best_factorised(log_p.T)
    bits = torch.tensor([[0, 0], [0, 1], [1, 0], [1, 1]], dtype=torch.float64)
    expected = -torch.nn.functional.softplus((1 - 2 * bits)[:, None] * logits).sum(-1).T
    for log_q in (best_two_bits(log_p).log(), expected):
        assert torch.allclose(log_q.exp().sum(-1), torch.ones(500, dtype=torch.float64))
    mismatch = [(log_q.exp() * (log_q - log_p)).sum(-1) for log_q in (best_two_bits(log_p).log(), expected)]
    torch.testing.assert_close(*mismatch, atol=1e-6, rtol=0)


def test_a_factorised_posterior_has_no_mismatch_and_its_own_bits() -> None:
    first, second = torch.rand(2, 20, dtype=torch.float64)
    p = torch.stack(((1 - first) * (1 - second), (1 - first) * second, first * (1 - second), first * second), -1)
    torch.testing.assert_close(best_two_bits(p.log()), p)


def test_the_terms_at_the_truth() -> None:
    """-3.649901, and with the mismatch -3.740603, by quadrature elsewhere."""
    likelihood, mismatch = (float(term) for term in Quadrature.of(TRUTH, 0.1).terms(TRUTH.centers))
    assert likelihood == pytest.approx(-3.649901, abs=1e-6)
    assert likelihood - mismatch == pytest.approx(-3.740603, abs=2e-5)


def test_the_gradient_is_that_of_finite_differences() -> None:
    centers = (TRUTH.centers + 0.1).requires_grad_()
    likelihood, mismatch = EXACT.terms(centers)
    (gradient,) = torch.autograd.grad(likelihood - 3 * mismatch, centers)
    for place in ((0, 0), (2, 1), (3, 0)):
        values = []
        for step in (1e-5, -1e-5):
            moved = centers.detach().clone()
            moved[place] += step
            terms = EXACT.terms(moved)
            values.append(float(terms[0] - 3 * terms[1]))
        assert float(gradient[place]) == pytest.approx((values[0] - values[1]) / 2e-5, abs=1e-5)


def test_no_weight_is_maximum_likelihood(figures: dict[str, dict[str, float]]) -> None:
    """The truth itself, -3.649901, by those of its codes' names that leave the least mismatch."""
    assert figures["beta = 0"]["log_likelihood"] == pytest.approx(-3.649901, abs=1e-5)
    mismatch = [Point.at(Quadrature.of(TRUTH, 0.1), 0.0, centers).mismatch for centers in labellings(TRUTH.centers)]
    assert figures["beta = 0"]["mismatch"] == pytest.approx(min(mismatch), abs=1e-4)


def test_weight_one_is_the_optimum_of_the_elbo(figures: dict[str, dict[str, float]]) -> None:
    """Variational EM elsewhere, 24 starts: -3.700262, with a likelihood of -3.680357."""
    assert figures["beta = 1"]["elbo"] == pytest.approx(-3.700262, abs=2e-5)
    assert figures["beta = 1"]["log_likelihood"] == pytest.approx(-3.680357, abs=2e-5)


def test_infinite_weight_is_the_best_rectangle(figures: dict[str, dict[str, float]]) -> None:
    """-3.759134 elsewhere; large weights come near it, their mismatch falling faster than 1 / beta."""
    assert figures["beta = infinity"]["log_likelihood"] == pytest.approx(-3.759134, abs=2e-5)
    assert figures["beta = infinity"]["mismatch"] == pytest.approx(0, abs=1e-12)
    near = figures["beta = 64"]
    assert near["log_likelihood"] - figures["beta = infinity"]["log_likelihood"] < 0.01
    assert 0 < 64 * near["mismatch"] < 0.005


def test_a_rectangles_sides_are_perpendicular_and_its_posterior_factorised() -> None:
    point = best_rectangle(EXACT, [TRUTH.centers])
    a, b, c, d = point.centers
    assert float((b - a) @ (c - a)) == pytest.approx(0, abs=1e-9)
    torch.testing.assert_close(a + d, b + c)
    assert math.isinf(point.beta)


def test_likelihood_and_mismatch_fall_as_the_weight_grows(figures: dict[str, dict[str, float]]) -> None:
    """As of any maximum of L - beta F; and no model on the curve is better than another in its own terms."""
    points = list(figures.values())
    assert len(points) == len(SIZES["quick"].betas)
    for metric in ("log_likelihood", "mismatch"):
        values = [point[metric] for point in points]
        assert values == sorted(values, reverse=True)
    for beta, point in zip(SIZES["quick"].betas[:-1], points, strict=False):
        merits = [other["log_likelihood"] - beta * other["mismatch"] for other in points]
        assert point["log_likelihood"] - beta * point["mismatch"] > max(merits) - 2e-4  # coarse against fine quadrature


def test_more_starts_find_nothing_better(figures: dict[str, dict[str, float]]) -> None:
    """Ten random starts more, at weights on either side of each jump."""
    more = starts(TRUTH, 10, seed=7)[3:]
    for beta in (0.5, 1.0, 2.0, 4.0):
        found = optimum(EXACT, beta, more)
        ours = figures[f"beta = {beta:g}"]
        assert found.log_likelihood - beta * found.mismatch < ours["log_likelihood"] - beta * ours["mismatch"] + 2e-4


def test_files(folder: Path) -> None:
    rows = json.loads((folder / "results.json").read_text())
    papers = {(row["cell"], row["metric"]): row["paper"] for row in rows if row["paper"]}
    assert papers == {
        ("beta = 0", "log_likelihood"): -3.65,
        ("beta = 1", "elbo"): -3.7,
        ("beta = 1", "log_likelihood"): -3.68,
    }
    assert all(f"- {name}: " in (folder / "table.md").read_text() for name in ("scale", "seed", "version", "machine"))
    assert imread(folder / "tradeoff.png").shape[1] > 1000
    assert list((folder / "tensorboard").glob("events*"))
