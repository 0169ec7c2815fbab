"""The fused Henze-Zirkler against the plain formula, autograd, gradcheck, and what it promises of bad samples."""

import math

import pytest
import torch
from torch import Tensor
from torch.func import vmap

from vae_lightning.metrics.functional import fused_henze_zirkler, henze_zirkler


def samples(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float64) -> Tensor:
    """Skewed and correlated, so that no term vanishes."""
    z = torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).exp()
    return (z + 0.3 * z.flip(-1)).to(dtype).requires_grad_()


@pytest.mark.parametrize("shape", [(12, 2), (3, 9, 1), (2, 2, 15, 3)])
def test_gradcheck(shape: tuple[int, ...]) -> None:
    assert torch.autograd.gradcheck(fused_henze_zirkler, (samples(*shape),))


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 2e-4), (torch.float64, 1e-10)])
@pytest.mark.parametrize("n", [40, 700])
def test_value_and_gradient_are_those_of_the_plain_formula(n: int, dtype: torch.dtype, tolerance: float) -> None:
    """700 rows of float64 need several blocks."""
    z = samples(2, n, 2, dtype=dtype)
    fused = fused_henze_zirkler(z)
    assert fused.dtype == dtype
    (ours,) = torch.autograd.grad(fused.sum(), z)
    for each, value, gradient in zip(z.detach().double(), fused, ours, strict=True):
        plain = henze_zirkler(each.requires_grad_())
        (expected,) = torch.autograd.grad(plain, each)
        assert value.item() == pytest.approx(plain.item(), rel=tolerance)
        assert (gradient - expected).abs().max() < tolerance * expected.abs().max()


def test_under_vmap_it_is_the_batched_one_whichever_the_axis() -> None:
    z = samples(3, 20, 2)
    upstream = torch.tensor([1.0, -2.0, 0.5], dtype=torch.float64)
    for axis in (0, 1):
        mapped = vmap(fused_henze_zirkler, in_dims=axis)(z.movedim(0, axis))
        torch.testing.assert_close(mapped, fused_henze_zirkler(z))
        (gradient,) = torch.autograd.grad(mapped @ upstream, z)
        (expected,) = torch.autograd.grad(fused_henze_zirkler(z) @ upstream, z)
        torch.testing.assert_close(gradient, expected)


SINGULAR = {
    "constant": torch.full((30, 2), 0.1),
    "collinear": torch.arange(30.0)[:, None] * torch.tensor([0.1, 0.3]) + 0.3,
    "one constant column": torch.stack((torch.arange(30.0), torch.full((30,), 1e3)), 1),
}


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("name", SINGULAR)
def test_a_singular_sample_has_4n_and_no_gradient_the_others_go_on(name: str, dtype: torch.dtype) -> None:
    good = samples(30, 2, dtype=dtype)
    z = torch.stack((good.detach(), SINGULAR[name].to(dtype))).requires_grad_()
    values = fused_henze_zirkler(z)
    (gradient,) = torch.autograd.grad(values.sum(), z)
    assert values[1].item() == 4 * 30 == henze_zirkler(z[1]).item()
    assert (gradient[1] == 0).all()
    (alone,) = torch.autograd.grad(fused_henze_zirkler(good), good)
    assert torch.equal(gradient[0], alone)


@pytest.mark.parametrize("shape", [(2, 2), (3, 3), (4, 2, 5)])
def test_no_more_observations_than_dimensions_are_singular(shape: tuple[int, ...]) -> None:
    z = samples(*shape)
    values = fused_henze_zirkler(z)
    (gradient,) = torch.autograd.grad(values.sum(), z)
    assert (values == 4 * shape[-2]).all()
    assert (gradient == 0).all()


def test_a_sample_that_is_not_finite_is_nan_and_the_others_go_on() -> None:
    z = samples(3, 20, 2).detach()
    z[1, 4, 0] = math.nan
    z[2, 4, 0] = math.inf
    values = fused_henze_zirkler(z)
    assert values.isnan().tolist() == [False, True, True]
    assert values[0].item() == pytest.approx(henze_zirkler(z[0]).item())


def test_far_outliers_stay_finite_in_single_precision() -> None:
    z = samples(400, 2, dtype=torch.float32).detach().pow(6)
    assert fused_henze_zirkler(z).item() == pytest.approx(henze_zirkler(z).item(), rel=1e-4)


def test_a_second_derivative_is_refused() -> None:
    z = samples(8, 2)
    (gradient,) = torch.autograd.grad(fused_henze_zirkler(z), z, create_graph=True)
    with pytest.raises(RuntimeError, match="does not require grad"):
        gradient.sum().backward()


@pytest.mark.parametrize("shape", [(1, 2), (3, 1, 2), (4, 0)])
def test_bad_shapes_are_one_clear_line(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="n >= 2 and d >= 1, got shape"):
        fused_henze_zirkler(torch.zeros(shape))
