"""Henze-Zirkler against values checked with quadrature of its definition, and against its own invariances."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from vae_lightning.metrics import HenzeZirkler
from vae_lightning.metrics.functional import henze_zirkler, henze_zirkler_null


def draws(seed: int) -> np.random.Generator:
    return np.random.default_rng(seed)


def on_the_circle() -> np.ndarray:
    z = draws(5).standard_normal((500, 2))
    return z / np.linalg.norm(z, axis=1, keepdims=True)


GAUSSIAN = draws(0).standard_normal((50, 2))
REFERENCE = {
    "a Gaussian": (GAUSSIAN, 0.26333880926942044),
    "a square": (draws(1).uniform(-1, 1, (60, 2)), 1.5301812478181294),
    "exponentials in space": (draws(2).exponential(1.0, (40, 3)), 2.1856525985580557),
    "500 of a Gaussian": (draws(0).standard_normal((500, 2)), 0.46749093490514326),
    "cubes": (draws(3).standard_normal((500, 2)) ** 3, 106.55577169021845),
    "the first, mapped": (GAUSSIAN @ np.array([[2, 1], [0, 0.5]]) + np.array([3, -7]), 0.2633388092694169),
    "six points": (np.array([[0.0, 0], [1, 0], [0, 1], [1, 1], [2, 1], [1, 3]]), 0.2016409637713541),
    "four point masses": (draws(4).choice([-1.0, 1.0], (500, 2)), 94.50688489289881),
    "a circle": (on_the_circle(), 37.73047879196207),
    "the fourth, tiny": (1e-3 * draws(0).standard_normal((500, 2)), 0.46749093490513616),
}


@pytest.mark.parametrize("name", REFERENCE)
@pytest.mark.parametrize("chunk", [512, 7])
def test_reference_values(name, chunk):
    z, expected = REFERENCE[name]
    assert henze_zirkler(torch.from_numpy(z), chunk).item() == pytest.approx(expected, rel=1e-10)


def test_single_precision_input_is_worked_on_in_double():
    z, expected = REFERENCE["cubes"]
    ours = henze_zirkler(torch.from_numpy(z).float())
    assert ours.dtype == torch.float64
    assert ours.item() == pytest.approx(expected, rel=1e-5)


@given(seed=st.integers(0, 10_000), n=st.integers(5, 30), d=st.integers(1, 3))
def test_affine_maps_change_nothing(seed, n, d):
    generator = torch.Generator().manual_seed(seed)
    z, shift = torch.rand(n, d, generator=generator).double(), torch.randn(d, generator=generator).double()
    rotation = torch.linalg.qr(torch.randn(d, d, generator=generator).double()).Q
    scales = 10 ** (4 * torch.rand(d, generator=generator).double() - 2)
    assert henze_zirkler((z @ rotation * scales) @ rotation + shift).item() == pytest.approx(
        henze_zirkler(z).item(), rel=1e-6, abs=1e-9
    )


def test_level_for_gaussian_samples():
    # closed-form null mean for n = 50, d = 2; 4 standard errors of 600 samples
    generator = torch.Generator().manual_seed(0)
    values = torch.stack([henze_zirkler(torch.randn(50, 2, generator=generator)) for _ in range(600)])
    assert abs(values.mean() - 0.5095695229801829) < 4 * values.std() / 600**0.5 + 0.007  # 0.007: asymptotic formula


PINGOUIN_P = {  # by another library
    "a Gaussian": 0.943850187936468,
    "a square": 0.000997071564101524,
    "exponentials in space": 1.231521422027312e-08,
    "500 of a Gaussian": 0.9080072758575524,
    "cubes": 1.0862935190304844e-67,
    "six points": 0.7264697788060388,
    "four point masses": 1.3128543720462643e-64,
    "a circle": 1.8374696720671058e-43,
}


@pytest.mark.parametrize("name", PINGOUIN_P)
def test_p_values_are_another_librarys(name):
    z, statistic = REFERENCE[name]
    assert henze_zirkler_null(*z.shape).p_value(statistic) == pytest.approx(PINGOUIN_P[name], rel=1e-6)


def test_null_of_500_in_the_plane():
    null = henze_zirkler_null(500, 2)
    assert (null.mean, null.variance) == pytest.approx((0.7176064117, 0.0454228857), rel=1e-9)
    assert null.critical(0.05) == pytest.approx(1.10974, abs=1e-5)
    assert null.p_value(null.critical(0.05)) == pytest.approx(0.05, rel=1e-9)
    assert henze_zirkler_null(100, 2).critical(0.05) == pytest.approx(0.965, abs=1e-3)


def test_null_holds_in_five_dimensions():
    # mean within 4 standard errors of 300 samples, up to the error of the asymptotic formula; the 5 % point exceeded
    # by 15 +- 3.8 of them
    generator, null = torch.Generator().manual_seed(0), henze_zirkler_null(100, 5)
    values = torch.stack([henze_zirkler(torch.randn(100, 5, generator=generator)) for _ in range(300)])
    assert abs(values.mean() - null.mean) < 4 * values.std() / 300**0.5 + 0.005
    assert 0 < (values > null.critical(0.05)).sum() < 15 + 4 * 3.8


def test_null_in_any_number_of_dimensions():
    for d in (1, 50, 1000):
        null = henze_zirkler_null(2000, d)
        assert 0 < null.mean <= null.critical(0.05)
        assert null.p_value(8000.0) == pytest.approx(0, abs=1e-12)
    with pytest.raises(ValueError, match="got n = 1 and d = 2"):
        henze_zirkler_null(1, 2)


SINGULAR = {
    "constant": torch.full((5, 2), 0.1),
    "collinear": torch.arange(7.0).double()[:, None] * torch.tensor([0.1, 0.3, -0.7]).double() + 0.3,
    "one constant column": torch.stack((torch.arange(9.0), torch.full((9,), 1e3)), 1),
    "too few rows": torch.randn(3, 3, generator=torch.Generator().manual_seed(0)),
}


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("name", SINGULAR)
def test_singular_covariances_give_the_largest_value(name, dtype):
    z = SINGULAR[name].to(dtype)
    assert henze_zirkler(z).item() == 4 * len(z)


def test_a_strong_correlation_is_not_singular():
    x, noise = torch.randn(2, 300, generator=torch.Generator().manual_seed(0))
    assert henze_zirkler(torch.stack((x, x + 1e-4 * noise), 1)) < 2


def test_gradient():
    z = torch.from_numpy(REFERENCE["six points"][0]).requires_grad_()
    assert torch.autograd.gradcheck(henze_zirkler, (z,))


@pytest.mark.parametrize(
    ("z", "message"),
    [
        (torch.zeros(1, 2), "n >= 2"),
        (torch.zeros(4), r"got shape \(4,\)"),
        (torch.full((4, 2), torch.nan), "finite"),
    ],
)
def test_errors_are_one_clear_line(z: Tensor, message: str):
    with pytest.raises(ValueError, match=message):
        henze_zirkler(z)
    with pytest.raises(ValueError, match="chunk >= 1, got 0"):
        HenzeZirkler(chunk=0)


def test_metric_over_uneven_batches():
    z, expected = REFERENCE["a square"]
    metric = HenzeZirkler()
    for batch in torch.from_numpy(z).split([33, 1, 26]):
        metric.update(batch)
    assert metric.compute()["henze_zirkler"].item() == pytest.approx(expected, rel=1e-10)
    metric.reset()
    metric.update(torch.from_numpy(GAUSSIAN))
    figures = {name: value.item() for name, value in metric.compute().items()}
    assert figures == pytest.approx(
        {
            "henze_zirkler": REFERENCE["a Gaussian"][1],
            "henze_zirkler_null": 0.5095695229801829,
            "henze_zirkler_critical": 0.8769078096604841,
            "henze_zirkler_p": PINGOUIN_P["a Gaussian"],
        },
        rel=1e-9,
    )


def test_metric_with_a_limit_takes_the_first_rows():
    z = torch.from_numpy(REFERENCE["a square"][0])
    metric = HenzeZirkler(limit=40)
    for batch in z.split([33, 1, 26]):
        metric.update(batch)
    assert metric.full
    assert metric.compute()["henze_zirkler"].item() == pytest.approx(henze_zirkler(z[:40]).item(), rel=1e-12)
    with pytest.raises(ValueError, match="limit >= 1, or None for all rows; got 0"):
        HenzeZirkler(limit=0)
