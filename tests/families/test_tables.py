"""Product and PartlyObserved: the parts' log-probabilities added up, and only those of entries that are there."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import lightning.pytorch as pl
import numpy as np
import pytest
import torch
import torch.distributions as td
from hypothesis import given
from hypothesis import strategies as st
from support.models import trainer
from torch import Tensor

from vae_lightning.conditional import Conditional
from vae_lightning.data import Arrays
from vae_lightning.estimators import LeaveOneOut, Reparameterised
from vae_lightning.families import (
    Bernoulli,
    BernoulliMRF,
    Categorical,
    ExponentialFamily,
    Multinomial,
    Normal,
    PartlyObserved,
    Poisson,
    Product,
)
from vae_lightning.families.support import check_support
from vae_lightning.harmonium import Harmonium
from vae_lightning.models import HVAE, MRFVAE, VAE, GaussianVAE, LiBI
from vae_lightning.nn import MLP, ScalePerDimension, SharedScale
from vae_lightning.objectives import ELBO, IWAE, DReG
from vae_lightning.priors import VampPrior

NAN = torch.nan
TABLE = Product([Normal(2), Bernoulli(1), Poisson(1), Categorical(4)])
"""Columns 0 and 1 are reals, 2 is a bit, 3 a count, 4 one of four categories."""


def rows(number: int = 40, share_missing: float = 0.0) -> Tensor:
    """Of TABLE."""
    noise = torch.Generator().manual_seed(number)
    reals = torch.randn(number, 2, generator=noise)
    whole = [torch.randint(n, (number, 1), generator=noise).float() for n in (2, 6, 4)]
    x = torch.cat([reals, *whole], 1)
    return torch.where(torch.rand(number, 5, generator=noise) < share_missing, NAN, x)


def eta(family: ExponentialFamily, number: int = 40) -> Tensor:
    noise = torch.Generator().manual_seed(1)
    return family.constrain(torch.randn(number, family.num_parameters, generator=noise))


# -- Product ---------------------------------------------------------------------------------------------------------


def by_torch(natural: Tensor, x: Tensor) -> Tensor:
    """Log p of each column, (n, 5)."""
    linear, quadratic, bit, count, choice = natural.split((2, 2, 1, 1, 4), -1)
    sigma = (-0.5 / quadratic).sqrt()
    parts = [
        td.Normal(linear * sigma**2, sigma).log_prob(x[:, :2]),
        td.Bernoulli(logits=bit).log_prob(x[:, 2:3]),
        td.Poisson(count.exp()).log_prob(x[:, 3:4]),
        td.Categorical(logits=choice).log_prob(x[:, 4])[:, None],
    ]
    return torch.cat(parts, -1)


def test_log_prob_is_the_sum_of_torchs_parts() -> None:
    natural, x = eta(TABLE), rows()
    torch.testing.assert_close(TABLE.distribution(natural).log_prob(x), by_torch(natural, x).sum(-1))


def test_the_probabilities_of_all_categories_add_up_to_one() -> None:
    family = Product([Categorical(3), Bernoulli(1), Categorical(2, 2)])
    every = torch.cartesian_prod(*[torch.arange(float(n)) for n in (3, 2, 2, 2)])
    p = family.distribution(eta(family, 7))
    torch.testing.assert_close(p.log_prob(every[:, None]).exp().sum(0), torch.ones(7))


def test_moments_of_categories_are_those_of_their_numbers() -> None:
    p = TABLE.distribution(
        torch.cat([torch.tensor([0.0, 0, -0.5, -0.5, 0, 0]), torch.tensor([0.1, 0.2, 0.3, 0.4]).log()])
    )
    assert p.mean[4] == pytest.approx(2.0)
    assert p.variance[4] == pytest.approx(0.2 + 0.3 * 4 + 0.4 * 9 - 4)
    assert p.base_dist.mode[4] == 3
    draws = p.sample(torch.Size([4000]))
    torch.testing.assert_close(draws.var(0), p.variance, rtol=0.1, atol=0)


def test_kl_is_the_sum_of_the_parts() -> None:
    table = Product([Normal(2), Bernoulli(1), Categorical(4)])
    one, other = table.distribution(eta(table, 5)), table.distribution(eta(table, 5).flip(0))
    parts = [
        td.kl_divergence(p, q) for (_, p), (_, q) in zip(one.base_dist.members, other.base_dist.members, strict=True)
    ]
    torch.testing.assert_close(td.kl_divergence(one, other), torch.stack(parts).sum(0))
    assert td.kl_divergence(one, one).abs().max() < 1e-6


@given(theta=st.lists(st.floats(-3, 3, width=32), min_size=10, max_size=10))
def test_parameters_come_back(theta: list[float]) -> None:
    emitted = torch.tensor(theta)
    torch.testing.assert_close(TABLE.unconstrain(TABLE.constrain(emitted)), emitted, rtol=1e-4, atol=1e-4)
    mean = TABLE.mean_statistics(TABLE.constrain(emitted))
    torch.testing.assert_close(TABLE.mean_statistics(TABLE.constrain(TABLE.fitted(mean))), mean, rtol=1e-2, atol=2e-2)


@given(numbers=st.lists(st.integers(0, 3), min_size=6, max_size=6))
def test_categories_come_back(numbers: list[int]) -> None:
    family, columns = Categorical(4, (2, 3)), torch.tensor(numbers).float()
    assert torch.equal(family.in_columns(family.of_columns(columns)), columns)


def test_what_an_encoder_sees() -> None:
    seen = TABLE.shown(torch.tensor([[0.5, -2.0, 1.0, np.e - 1, 2.0]]))
    torch.testing.assert_close(seen, torch.tensor([[0.5, -2.0, 1.0, 1.0, 0, 0, 1, 0]]))


def test_a_harmonium_of_a_mixed_table() -> None:
    """Log p(v) of all rows of bits and categories adds up to one."""
    torch.manual_seed(0)
    model = Harmonium(Product([Bernoulli(2), Categorical(3)]), Bernoulli(2))
    torch.nn.init.normal_(model.weight)
    every = torch.cartesian_prod(*[torch.arange(float(n)) for n in (2, 2, 3)])
    assert model.log_prob(every).exp().sum().item() == pytest.approx(1, rel=1e-5)


@pytest.mark.parametrize(("scale", "learned"), [(SharedScale, 1), (ScalePerDimension, 3)])
def test_the_noise_of_reals_can_be_learned_apart_from_the_code(scale: Any, learned: int) -> None:
    """Sigmas of columns 1, 3 and 4 are parameters; what else the families need comes from the network."""
    table = PartlyObserved(Product([Bernoulli(1), Normal(1), Categorical(3), Normal(2), Normal(1, 0.5)]))
    decoder = Conditional(table, (2,), partial(scale, network=MLP, sigma=0.3))
    assert decoder.network.log_sigma.shape == (learned,)
    theta = decoder.network(torch.randn(7, 2))
    assert theta.shape == (7, table.num_parameters)
    sigma = decoder(torch.randn(7, 2)).base_dist.variance.sqrt()
    torch.testing.assert_close(sigma[:, [1, 3, 4, 5]], torch.tensor([0.3, 0.3, 0.3, 0.5]).expand(7, 4))
    assert theta[:, 0].unique().numel() == theta[:, 3].unique().numel() == 7
    decoder(torch.randn(7, 2)).log_prob(table.distribution(table.constrain(theta)).sample()).sum().backward()
    assert decoder.network.log_sigma.grad.count_nonzero() == learned


# -- PartlyObserved --------------------------------------------------------------------------------------------------

ALONE: dict[str, tuple[ExponentialFamily, Tensor]] = {
    "Normal": (Normal(5), torch.randn(40, 5, generator=torch.Generator().manual_seed(0))),
    "Normal of one scale": (Normal(5, 0.5), torch.randn(40, 5, generator=torch.Generator().manual_seed(0))),
    "Bernoulli": (Bernoulli((1, 2, 3)), torch.rand(40, 1, 2, 3, generator=torch.Generator().manual_seed(0)).round()),
    "Categorical": (Categorical(3), torch.eye(3)[torch.arange(40) % 3]),
    "Product": (TABLE, rows()),
}


@pytest.mark.parametrize("name", ALONE)
def test_complete_rows_are_bit_for_bit_those_of_the_family(name: str) -> None:
    """Loss, gradients and weights after steps of Adam."""
    family, x = ALONE[name]
    ends = []
    for each in (family, PartlyObserved(family)):
        torch.manual_seed(0)
        vae = GaussianVAE(2, each)
        optimizer, losses = torch.optim.Adam(vae.parameters(), 0.01), []
        for step in range(5):
            optimizer.zero_grad()
            loss, _ = vae.loss((x, torch.zeros(len(x))), step)
            loss.backward()
            optimizer.step()
            losses.append(loss.detach())
        ends.append([*losses, *(parameter.detach() for parameter in vae.parameters())])
    assert all(torch.equal(one, other) for one, other in zip(*ends, strict=True))


def test_missing_columns_are_left_out() -> None:
    natural, x = eta(TABLE), rows(40, 0.4)
    expected = torch.where(x.isnan(), 0.0, by_torch(natural, x.nan_to_num(0))).sum(-1)
    torch.testing.assert_close(PartlyObserved(TABLE).distribution(natural).log_prob(x), expected)


def test_that_is_the_sum_over_what_was_missing() -> None:
    family = Product([Bernoulli(1), Categorical(3)])
    p = PartlyObserved(family).distribution(eta(family, 6))
    for bit in (0.0, 1.0):
        every = torch.tensor([[bit, float(n)] for n in range(3)])
        torch.testing.assert_close(p.log_prob(torch.tensor([bit, NAN])), p.log_prob(every[:, None]).logsumexp(0))


def test_a_one_hot_vector_is_missing_as_a_whole() -> None:
    p = PartlyObserved(Categorical(3, 2)).distribution(torch.zeros(6))
    x = torch.tensor([[NAN, NAN, NAN], [0.0, 1.0, 0.0]])
    assert p.log_prob(x).exp().item() == pytest.approx(1 / 3)


def test_what_is_missing_has_no_gradient() -> None:
    theta = torch.zeros(1, TABLE.num_parameters, requires_grad=True)
    p = PartlyObserved(TABLE).distribution(TABLE.constrain(theta))
    p.log_prob(torch.tensor([[1.0, NAN, NAN, NAN, 2.0]])).sum().backward()
    assert theta.grad is not None
    assert theta.grad[0].nonzero()[:, 0].tolist() == [0, 6, 7, 8, 9]  # sigma's is 0 where x is one sigma from the mean


def test_the_mask_goes_behind_x() -> None:
    seen = PartlyObserved(TABLE, mask=True).shown(torch.tensor([[0.5, NAN, 1.0, NAN, NAN]]))
    assert seen.tolist() == [[0.5, 0, 1, 0, 0, 0, 0, 0, 1, 0, 1, 0, 0]]
    image = PartlyObserved(Bernoulli((1, 2, 2)), mask=True)
    assert image.shown(torch.full((7, 1, 2, 2), NAN)).shape == (7, *image.shown_shape) == (7, 2, 2, 2)


# -- models ----------------------------------------------------------------------------------------------------------

MODELS: dict[str, Callable[[ExponentialFamily], pl.LightningModule]] = {
    "GaussianVAE": lambda family: GaussianVAE(2, family),
    "IWAE": lambda family: GaussianVAE(2, family, objective=IWAE(Reparameterised(5))),
    "DReG": lambda family: GaussianVAE(2, family, objective=DReG(Reparameterised(5))),
    "VampPrior": lambda family: GaussianVAE(
        2, family, objective=ELBO(Reparameterised()), prior=VampPrior(2, family.event_shape, 3)
    ),
    "VAE": lambda family: VAE(Bernoulli(3), family, MLP, MLP, ELBO(LeaveOneOut(2))),
    "HVAE": lambda family: HVAE((2, 2), family),
    "MRFVAE": lambda family: MRFVAE(BernoulliMRF(2, 1), family),
    "LiBI": lambda family: LiBI(1, family, steps=2),
}


@pytest.mark.parametrize("name", MODELS)
def test_every_model_trains_on_rows_with_missing_entries(name: str) -> None:
    torch.manual_seed(0)
    data = Arrays(rows(60, 0.3).numpy(), standardise=["0", "1"], missing=True, batch_size=20)
    module, run = MODELS[name](PartlyObserved(TABLE, mask=True)), trainer(max_epochs=2)
    run.fit(module, data)
    (figures,) = run.test(module, data, verbose=False)
    assert np.isfinite(list(figures.values())).all()
    assert all(parameter.isfinite().all() for parameter in module.parameters())
    assert not module.sample(3).isnan().any()


# -- bad input -------------------------------------------------------------------------------------------------------


def spoilt(place: tuple[int, int], value: float) -> Tensor:
    x = rows()
    x[place] = value
    return x


@pytest.mark.parametrize(
    ("place", "value", "message"),
    [
        (
            (7, 2),
            0.5,
            r"Bernoulli\(\(1,\)\), of column 2, takes zeros and ones.* got 0.5 .* first row 7 at \(2,\)\): bin",
        ),
        (
            (3, 3),
            -1.0,
            r"Poisson\(\(1,\)\), of column 3, takes counts: 0, 1, 2, ....* got -1 .* first row 3 at \(3,\)\)",
        ),
        (
            (3, 4),
            4.0,
            r"Categorical\(\(4,\)\), of column 4, takes categories, numbered 0 to 3.* got 4 .* at \(4,\)\)",
        ),
        (
            (3, 1),
            torch.inf,
            r"Normal\(\(2,\)\), of columns 0 to 1, takes finite numbers.* got inf .* row 3 at \(1,\)\)",
        ),
    ],
)
def test_the_column_that_does_not_fit_is_named(place: tuple[int, int], value: float, message: str) -> None:
    for family in (TABLE, PartlyObserved(TABLE)):
        check_support(family, [rows()])
        with pytest.raises(ValueError, match=message):
            check_support(family, [spoilt(place, value)])
    check_support(PartlyObserved(TABLE), [rows(40, 0.5)])
    with pytest.raises(ValueError, match=r"takes finite numbers, got nan .*PartlyObserved around the family takes NaN"):
        check_support(TABLE, [rows(40, 0.5)])


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: Product([]), "got none"),
        (lambda: Product([Multinomial(3)]), r"columns are independent variables, which those of Multinomial\(\(3,\)\)"),
        (lambda: Product([BernoulliMRF(1, 2)]), "columns are independent variables"),
        (lambda: Product([PartlyObserved(Normal(2))]), "goes around the Product"),
        (lambda: PartlyObserved(Multinomial(3)), "variables that are independent, which BagOfWords is not"),
        (lambda: Harmonium(TABLE, Bernoulli(2)), r"Normal with a fixed scale"),
        (lambda: Poisson(0), "at least one entry"),
    ],
)
def test_errors_say_what_is_wrong(build: Callable[[], Any], message: str) -> None:
    with pytest.raises((ValueError, TypeError), match=message):
        build()
