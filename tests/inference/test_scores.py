"""scores and imputed: within 3 of their errors of closed forms and enumeration, also of rows with missing entries."""

from __future__ import annotations

import math

import pytest
import torch
from support.linear_world import WIDTH, LinearWorld
from torch import Tensor

from vae_lightning.families import Bernoulli, Categorical, Multinomial, Normal, PartlyObserved, Poisson, Product
from vae_lightning.harmonium import Harmonium
from vae_lightning.inference import Inflated, Proposal, harmonium_imputed, harmonium_scores, imputed, scores
from vae_lightning.inference.weighted import WeightedSums
from vae_lightning.models import GaussianVAE

WORLD = LinearWorld()


def within(found: Tensor, error: Tensor, truth: Tensor, floor: float = 1e-9) -> bool:
    """Whether each is within 3 errors, but for the 0.27 % of many that are not; all within 5."""
    off = (found - truth).abs() / (error + floor)
    return bool((off < 5).all()) and float((off > 3).double().mean()) <= 0.01 + 1 / off.numel()


def calibrated(found: Tensor, error: Tensor, truth: Tensor) -> bool:
    """Whether what the estimates are off by is as large as their errors say: neither one too small nor too large."""
    off = ((found - truth) / error).square().mean().sqrt()
    return 2 / 3 < float(off) < 3 / 2


@pytest.mark.parametrize(
    ("mediocre", "share"), [(False, 0.0), (True, 0.0), (True, 0.3)], ids=["exact q", "mediocre q", "missing entries"]
)
def test_log_likelihood(mediocre: bool, share: float) -> None:
    x = WORLD.rows(60, share)
    torch.manual_seed(0)
    found = scores(WORLD.model(mediocre), x, num_samples=2000)
    assert within(found.log_likelihood, found.stderr, WORLD.log_prob(x))
    assert found.stderr.max() < 0.2
    if not mediocre and not share:  # each weight is p(x)
        assert found.stderr.max() < 1e-9
        torch.testing.assert_close(found.effective_sample_size, torch.full((60,), 2000.0, dtype=torch.float64))
    else:
        assert (found.effective_sample_size < 2000).all()
        assert calibrated(found.log_likelihood, found.stderr, WORLD.log_prob(x))


@pytest.mark.parametrize("proposal", [Inflated(10.0), None], ids=["inflated exact q", "mediocre q"])
def test_imputation(proposal: Proposal | None) -> None:
    """The q that is exact for complete rows is too narrow for others; a wider one is not."""
    x = WORLD.rows(60, 0.3)
    before = x.clone()
    torch.manual_seed(0)
    found = imputed(WORLD.model(mediocre=proposal is None), x, num_samples=4000, draws=400, proposal=proposal)
    torch.testing.assert_close(x, before, equal_nan=True, rtol=0, atol=0)
    mean, deviation = WORLD.conditional(x)
    assert torch.equal(found.missing, x.isnan())
    assert torch.equal(found.mean[~found.missing], x[~found.missing])
    assert found.stderr[~found.missing].count_nonzero() == 0
    away = found.missing
    assert within(found.mean[away], found.stderr[away], mean[away])
    assert calibrated(found.mean[away], found.stderr[away], mean[away])
    assert found.stderr.max() < 0.3
    torch.testing.assert_close(found.stddev[away], deviation[away], rtol=0.15, atol=0)
    error = torch.hypot(deviation[away] / math.sqrt(400), found.stderr[away])
    assert within(found.draws.mean(0)[away], error, mean[away])
    torch.testing.assert_close(found.draws.std(0)[away], deviation[away], rtol=0.25, atol=0)
    assert torch.equal(found.draws[:, ~away], x[~away].expand(400, -1))


def test_a_row_without_anything_is_its_prior() -> None:
    x = torch.full((3, WIDTH), torch.nan, dtype=torch.float64)
    torch.manual_seed(0)
    found = imputed(WORLD.model(mediocre=True), x, num_samples=20_000)
    assert within(found.mean, found.stderr, WORLD.bias.expand(3, -1))
    torch.testing.assert_close(
        scores(WORLD.model(True), x).log_likelihood, torch.zeros(3, dtype=torch.float64), rtol=0, atol=0.2
    )


def test_a_model_of_complete_rows_imputes_them_alike() -> None:
    """The same samples, the same figures, bit for bit: the family alone says that entries may be missing."""
    x = WORLD.rows(20, 0.3)
    for of in (lambda model: imputed(model, x, 50).mean, lambda model: scores(model, x, 50).log_likelihood):
        told = []
        for partly in (False, True):
            torch.manual_seed(0)
            told.append(of(WORLD.model(partly=partly)))
        assert torch.equal(*told)


@pytest.mark.parametrize("chunk", [1, 7, 100, 10_000])
def test_memory_does_not_change_what_is_estimated(chunk: int) -> None:
    x = WORLD.rows(9, 0.3)
    torch.manual_seed(0)
    found = imputed(WORLD.model(mediocre=True), x, num_samples=500, draws=2, chunk=chunk)
    assert within(found.mean, found.stderr, WORLD.conditional(x)[0])
    assert found.draws.shape == (2, 9, WIDTH)


def test_samples_without_weight_do_not_hide_those_after_them() -> None:
    z = torch.tensor([[[1.0]], [[3.0]]])
    sums, log_weight = WeightedSums(draws=2), torch.full((2, 1), -1000.0, dtype=torch.float64)
    sums.add(torch.full_like(log_weight, -torch.inf), [7 * z], [z], 7 * z)
    sums.add(log_weight, [z], [z], z)
    assert (sums.mean(0).item(), sums.effective_sample_size.item()) == (2, 2)
    assert sums.kept is not None
    assert sums.kept.max() <= 3


def test_complete_rows_come_back() -> None:
    found = imputed(WORLD.model(), x := WORLD.rows(4), draws=2)
    assert torch.equal(found.mean, x)
    assert torch.equal(found.draws, x.expand(2, -1, -1))
    assert found.effective_sample_size.isinf().all()


# -- tables ----------------------------------------------------------------------------------------------------------

TABLE = Product([Bernoulli(2), Categorical(3)])


def table_model() -> GaussianVAE:
    torch.manual_seed(0)
    return GaussianVAE(1, PartlyObserved(TABLE))


def test_categories_against_a_fine_grid_of_codes() -> None:
    """E[x | x_observed], and the most probable category, by quadrature over the one-dimensional code."""
    model = table_model().model
    x = torch.tensor([[1.0, 0.0, torch.nan], [torch.nan, 1.0, 2.0]])
    torch.manual_seed(1)
    found = imputed(model, x, num_samples=20_000)
    z = torch.linspace(-6, 6, 2001)[:, None, None]
    with torch.no_grad():
        p = model.decoder(z)
        weight = (p.log_prob(x) + model.prior().log_prob(z)).softmax(0).double()
        mean = (weight[..., None] * p.mean.double()).sum(0)
        chances = (weight[:, 0, None] * p.base_dist.variables.members[1][1].mean[:, 0].double()).sum(0)
    away = found.missing
    assert within(found.mean[away], found.stderr[away], mean[away], floor=1e-5)
    assert found.best[0, 2] == chances.argmax()
    assert found.best[1, 0] == found.mean[1, 0]


def test_counts_and_reals_run() -> None:
    family = PartlyObserved(Product([Normal(2), Poisson(1), Categorical(4)]), mask=True)
    x = torch.tensor([[0.1, torch.nan, 3.0, 1.0], [torch.nan, 1.0, torch.nan, torch.nan]])
    found = imputed(GaussianVAE(2, family).model, x, num_samples=50, draws=3)
    assert found.mean.isfinite().all()
    assert TABLE.event_shape == (3,)
    assert found.draws[:, 1, 3].ge(0).all()
    assert torch.equal(found.best[1, 3], found.best[1, 3].round())


# -- harmoniums ------------------------------------------------------------------------------------------------------


def rbm(visible: object = None, hidden: int = 3) -> Harmonium:
    torch.manual_seed(3)
    model = Harmonium(visible or Bernoulli(4), Bernoulli(hidden))  # type: ignore[arg-type]
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=1.0)
    return model


def test_an_rbm_imputes_as_the_enumeration_of_all_states_does() -> None:
    model = rbm()
    x = torch.tensor([[1.0, torch.nan, 0.0, torch.nan], [torch.nan, 1.0, 1.0, 0.0], [0.0, 1.0, 0.0, 1.0]])
    torch.manual_seed(0)
    found = harmonium_imputed(model, x, num_chains=50, steps=400, draws=10)
    states = torch.cartesian_prod(*[torch.tensor([0.0, 1.0])] * 4)
    fits = (x.isnan()[:, None] | (x[:, None] == states)).all(-1)
    weight = torch.where(fits, -model.free_energy(states), -torch.inf).softmax(-1).double()
    mean = weight @ states.double()
    assert within(found.mean, found.stderr, mean, floor=1e-6)
    assert found.stderr.max() < 0.02
    torch.testing.assert_close(found.stddev, (mean - mean.square()).clamp_min(0).sqrt(), rtol=0, atol=0.02)
    assert found.effective_sample_size[2].isinf()
    assert torch.equal(found.draws[:, 2], x[2].expand(10, -1))


def test_a_gaussian_bernoulli_rbm_imputes_as_its_mixture_does() -> None:
    model = rbm(Normal(3, scale=0.7))
    x = torch.tensor([[0.5, torch.nan, -1.0], [torch.nan, torch.nan, 1.0]])
    torch.manual_seed(0)
    found = harmonium_imputed(model, x, num_chains=50, steps=400)
    h = torch.cartesian_prod(*[torch.tensor([0.0, 1.0])] * 3)
    with torch.no_grad():
        centres = model.visible_given(h).mean
        observed = torch.where(x.isnan()[:, None], 0.0, (x[:, None] - centres).square()).sum(-1) / (2 * 0.7**2)
        weight = (-model.hidden_free_energy(h) - observed).softmax(-1).double()
    assert within(found.mean[found.missing], found.stderr[found.missing], (weight @ centres.double())[found.missing])


@pytest.mark.parametrize("most_bits", [16, 0], ids=["exact", "annealed"])
def test_an_rbm_scores_its_rows(most_bits: int) -> None:
    model, x = rbm(), torch.cartesian_prod(*[torch.tensor([0.0, 1.0])] * 4)
    torch.manual_seed(0)
    found = harmonium_scores(model, x, steps=200, most_bits=most_bits)
    truth = model.log_prob(x).detach().double()
    assert within(found.log_likelihood, found.stderr, truth, floor=1e-5)
    assert found.log_likelihood.shape == found.stderr.shape == found.effective_sample_size.shape == (16,)
    assert (found.stderr == 0).all() == (most_bits == 16)
    assert found.effective_sample_size.isinf().all() == (most_bits == 16)


def test_documents_are_scored_by_their_lengths() -> None:
    model = rbm(Multinomial(4), 2)
    x = torch.tensor([[2.0, 0.0, 1.0, 0.0], [0.0, 1.0, 0.0, 0.0], [1.0, 1.0, 1.0, 0.0]])
    torch.manual_seed(0)
    found = harmonium_scores(model, x)
    torch.testing.assert_close(found.log_likelihood, model.log_prob(x).detach().double(), rtol=1e-5, atol=1e-5)
    annealed = harmonium_scores(model, x, steps=300, most_bits=0)
    assert within(annealed.log_likelihood, annealed.stderr, found.log_likelihood, floor=1e-4)


# -- what cannot be --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: scores(WORLD.model(), WORLD.rows(2)[:0]), "there are no rows"),
        (lambda: imputed(WORLD.model(), WORLD.rows(2), num_samples=0), "num_samples >= 1, got 0"),
        (lambda: imputed(WORLD.model(), WORLD.rows(2), draws=-1), "0 or more; got -1"),
        (lambda: harmonium_imputed(rbm(), torch.ones(1, 4), num_chains=1), "num_chains >= 2"),
        (lambda: harmonium_imputed(rbm(), torch.ones(1, 4), draws=21), "draws <= num_chains"),
        (lambda: harmonium_imputed(rbm(Multinomial(4)), torch.ones(1, 4)), "documents have no missing entries"),
        (lambda: harmonium_scores(rbm(), torch.tensor([[1.0, torch.nan, 0.0, 0.0]])), "complete rows, 1 of 1 are not"),
        (
            lambda: Harmonium(PartlyObserved(Bernoulli(4)), Bernoulli(2)),
            "a harmonium is of complete rows, and impute fills in others",
        ),
    ],
)
def test_errors_say_what_is_wrong(call, message: str) -> None:
    with pytest.raises((ValueError, TypeError), match=message):
        call()
