"""Theorem 2, Propositions A.1 and A.2 and Example A.1 against enumeration (tests/support/consistency_goldens.py)."""

from __future__ import annotations

import itertools
import math
from typing import Any

import mpmath
import pytest
import torch
from support.consistency_goldens import EXAMPLE_A1, MODEL_MARGINAL, OTHER_DATA, PD
from support.consistency_worlds import bits, curved_world, with_best_encoder
from torch import Tensor

from vae_lightning.conditional import Conditional
from vae_lightning.consistency import (
    Escape,
    best_factorised,
    discrete_flow,
    least_squares_harmonium,
    log_joint,
    log_posteriors,
    nearest_harmonium,
    tightness,
)
from vae_lightning.families import Bernoulli, Categorical, Multinomial, Normal
from vae_lightning.latent_variable import LatentVariableModel
from vae_lightning.metrics import functional
from vae_lightning.metrics.functional.tightness import SECOND_PART
from vae_lightning.nn import MLP
from vae_lightning.priors import FactorisedPrior

CASES = [(row, False) for row in MODEL_MARGINAL] + [(row, True) for row in OTHER_DATA]


def close(value: Tensor, expected: Any, rel: float = 1e-11) -> None:
    torch.testing.assert_close(value.detach(), torch.tensor(expected, dtype=torch.float64), rtol=rel, atol=1e-13)


@pytest.mark.parametrize(("row", "other"), CASES)
def test_a_curved_decoder_of_two_bits(row: dict[str, Any], other: bool) -> None:
    model, x = curved_world(row["t"]), bits(3)
    p_x = log_joint(model, x).logsumexp(0).exp()
    close(p_x, row["p_x"])
    close(model.encoder(x).base_dist.probs, row["encoder"], rel=1e-7)
    data = torch.tensor(PD, dtype=torch.float64) if other else p_x

    exact = tightness(model, x, data)
    close(exact.epsilon, row["epsilon"])
    close(exact.alpha, row["alpha"])
    close(exact.delta_squared, row["delta_squared"])
    close(exact.leading_bound, row["leading_bound"])
    r = row["leading_bound"]
    close(exact.bound, row["log1p_bound"] + SECOND_PART * r)

    nearest = nearest_harmonium(model, x, data)
    close(nearest.matrix, row["matrix"])
    close(nearest.squared_error, row["squared_error"])
    close((nearest.harmonium.log_partition() + nearest.log_scale).exp(), row["sum"])
    close(least_squares_harmonium(model, x, data).squared_error, row["least_squares_error"], rel=1e-10)

    # the chain of inequalities of Appendix A.3, for every code
    assert (nearest.squared_error <= exact.delta_squared * (1 + 1e-12)).all()
    assert (exact.delta_squared <= exact.bound).all()
    assert (exact.delta_squared <= exact.leading_bound).all()
    assert exact.bound <= 0.824 * exact.epsilon / exact.alpha**2


def test_the_projection_is_the_harmonium_it_says_it_is() -> None:
    model, x = curved_world(1.0), bits(3)
    found, z, joint = nearest_harmonium(model, x), bits(2), log_joint(model, x)
    energy = found.harmonium.energy(x[:, None], z[None]).detach()
    error = (joint.T + energy - found.log_scale).square().mean(0)
    torch.testing.assert_close(error, found.squared_error)


@pytest.mark.parametrize("row", EXAMPLE_A1, ids=lambda row: f"beta {row['beta']}")
def test_example_a1(row: dict[str, Any]) -> None:
    model, x, closed = discrete_flow(row["beta"]).double(), bits(2), Escape(row["beta"])
    exact, nearest = tightness(model, x), nearest_harmonium(model, x)
    pairs = {
        "epsilon": exact.epsilon,
        "alpha": exact.alpha,
        "largest_deviation": exact.largest_deviation,
        "delta_squared": exact.delta_squared,
        "squared_error": nearest.squared_error,
    }
    for name, value in pairs.items():
        close(value, row[name], rel=1e-9)
        close(value, [getattr(closed, name)] * 4 if value.ndim else getattr(closed, name), rel=1e-9)
    close(exact.leading_bound, row["leading_bound"], rel=1e-9)
    best = with_best_encoder(model.decoder, 2)
    close(tightness(best, x).epsilon, row["best_epsilon"], rel=1e-9)


def test_example_a1_becomes_tight_without_becoming_consistent() -> None:
    gaps = [Escape(beta).epsilon for beta in (0.5, 1.0, 2.0, 4.0, 8.0)]
    assert gaps[0] < gaps[1] > gaps[2] > gaps[3] > gaps[4] < 1e-5
    assert Escape(8.0).squared_error == 64
    assert Escape(30.0).epsilon == pytest.approx(60 * math.exp(-60), rel=1e-12)  # all but terms of exp(-120)
    assert Escape(400.0).alpha == 0  # less than any float


def test_the_constant_of_the_bound_is_the_maximum_it_stands_for() -> None:
    with mpmath.workdps(40):
        r = mpmath.findroot(lambda r: 2 * r - (1 + r) * mpmath.log(1 + r), 4)
        supremum = mpmath.log(1 + r) ** 2 / r
        assert supremum <= SECOND_PART < supremum + 2.0**-53  # no float64 between them
    grid = torch.logspace(0, 6, 1_000_001, dtype=torch.float64)
    assert float((grid.log1p().square() / grid).max()) == pytest.approx(float(supremum), abs=1e-10)
    one = torch.ones((), dtype=torch.float64)
    assert functional.theorem_2_bound(2 * one, one / 2) == pytest.approx(math.log(5) + 4 * SECOND_PART, rel=1e-15)


@pytest.mark.parametrize("num_bits", [1, 2, 3])
def test_no_factorised_posterior_beats_the_best_one(num_bits: int) -> None:
    generator = torch.Generator().manual_seed(num_bits)
    joint = 2 * torch.randn(2**num_bits, 20, generator=generator, dtype=torch.float64)
    codes = bits(num_bits)

    def elbo(logits: Tensor) -> Tensor:
        log_q = torch.nn.functional.logsigmoid((2 * codes - 1)[:, None] * logits).sum(-1)
        return (log_q.exp() * (joint - log_q)).sum(0)

    found = elbo(best_factorised(joint))
    grid = torch.linspace(-6, 6, 25).double()
    for corner in itertools.product(grid.tolist(), repeat=num_bits):
        assert (elbo(torch.tensor(corner).double().expand(20, -1)) <= found + 1e-12).all()
    assert (found <= joint.logsumexp(0) + 1e-12).all()
    if num_bits == 1:  # one bit is always factorised
        torch.testing.assert_close(found, joint.logsumexp(0))


def test_posteriors_over_one_hot_codes() -> None:
    """A categorical code, whose encoder can be any posterior: epsilon is the KL written out."""
    torch.manual_seed(0)
    code = Categorical(3)
    model = LatentVariableModel(
        Conditional(code, (2,), MLP), Conditional(Bernoulli(2), (3,), MLP), FactorisedPrior(code)
    ).double()
    x = bits(2)
    log_q, log_p = log_posteriors(model, x)
    torch.testing.assert_close(log_q.exp().sum(0), torch.ones(4).double())
    torch.testing.assert_close(log_p.exp().sum(0), torch.ones(4).double())
    torch.testing.assert_close(log_q[1], model.encoder(x).base_dist.logits[:, 1].detach())
    kl = torch.nn.functional.kl_div(log_p, log_q, log_target=True, reduction="none").sum(0)
    torch.testing.assert_close(tightness(model, x).epsilon, kl.mean())


@pytest.mark.parametrize("family", [Bernoulli(6), Normal(3), Categorical(3, (2,)), Multinomial(6)])
def test_canonical_parameters_are_those_of_the_same_distribution(family: Any) -> None:
    eta = family.constrain(torch.randn(4, family.num_parameters, dtype=torch.float64))
    canonical = family.canonical(eta)
    x = torch.eye(3, dtype=torch.float64).repeat(1, 2).view(3, 1, 2, 3)
    x = x if isinstance(family, Categorical) else x.view(3, 1, 6)[..., : family.event_shape[0]]
    torch.testing.assert_close(family.distribution(canonical).log_prob(x), family.distribution(eta).log_prob(x))
    if isinstance(family, Categorical | Multinomial):
        torch.testing.assert_close(family.canonical(eta + 7), canonical)


def test_says_what_it_cannot_project() -> None:
    model, x = curved_world(1.0), bits(3)
    with pytest.raises(ValueError, match=r"full column rank over the observations, 4; these 3 have rank 3"):
        nearest_harmonium(model, x[:3])
    with pytest.raises(ValueError, match="full column rank"):  # one observation that the data never show
        nearest_harmonium(model, x, torch.tensor([1.0, 1, 1, 0, 0, 0, 0, 0]))
    with pytest.raises(ValueError, match="weights are 8 probabilities"):
        nearest_harmonium(model, x, torch.zeros(8))
    with pytest.raises(ValueError, match=r"weights >= 0"):
        tightness(model, x, -torch.ones(8))
    wide = LatentVariableModel(
        Conditional(Bernoulli(17), (3,), MLP), Conditional(Bernoulli(3), (17,), MLP), FactorisedPrior(Bernoulli(17))
    )
    with pytest.raises(ValueError, match=r"at most 2\^16; here 2\^17"):
        tightness(wide, x.float())
    gaussian = LatentVariableModel(
        Conditional(Normal(1), (3,), MLP), Conditional(Bernoulli(3), (1,), MLP), FactorisedPrior(Normal(1))
    )
    with pytest.raises(ValueError, match="fix its variance"):
        nearest_harmonium(gaussian, x.float())
    with pytest.raises(ValueError, match="they cannot be listed"):
        tightness(gaussian, x.float())
