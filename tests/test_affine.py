"""Affine against the multiplied-out logits: F.linear and torch.logsumexp, in values, gradients and extremes."""

import pytest
import torch
import torch.nn.functional as F

from vae_lightning import affine
from vae_lightning.affine import Affine
from vae_lightning.counts import Counts


def parts(*batch, dtype=torch.float64):
    """h (*batch, 3), W (7, 3), b (7,)."""
    torch.manual_seed(0)
    return [torch.randn(s, dtype=dtype, requires_grad=True) for s in ((*batch, 3), (7, 3), (7,))]


@pytest.mark.parametrize("batch", [(), (0,), (1,), (4,), (2, 1, 5)], ids=str)
def test_values_and_gradients_are_those_of_the_dense_logits(batch):
    own, reference = parts(*batch), parts(*batch)
    eta, dense = Affine(*own), F.linear(*reference)
    assert eta.shape == dense.shape
    torch.testing.assert_close(eta.dense(), dense)
    value, true = eta.logsumexp(), dense.logsumexp(-1)
    torch.testing.assert_close(value, true, rtol=1e-12, atol=1e-12)
    weights = torch.randn(batch, dtype=torch.float64)
    found = torch.autograd.grad((weights * value).sum(), own)
    for gradient, expected in zip(found, torch.autograd.grad((weights * true).sum(), reference), strict=True):
        torch.testing.assert_close(gradient, expected, rtol=1e-12, atol=1e-12)


def test_gradient_by_finite_differences():
    assert torch.autograd.gradcheck(lambda *p: Affine(*p).logsumexp(), parts(4))


def test_gradient_where_only_some_parts_are_trained():
    for trained in range(3):
        own = [p.detach().requires_grad_(k == trained) for k, p in enumerate(parts(4))]
        (found,) = torch.autograd.grad(Affine(*own).logsumexp().sum(), own[trained])
        (expected,) = torch.autograd.grad(F.linear(*own).logsumexp(-1).sum(), own[trained])
        torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("scale", [1e4, -1e4, 1e30])
def test_extreme_logits(scale):
    """exp overflows at 88 in single precision; the value and its gradient do not."""
    own = parts(4, dtype=torch.float32)
    eta = Affine(own[0], own[1] * scale, own[2])
    value, dense = eta.logsumexp(), eta.dense()
    torch.testing.assert_close(value, dense.logsumexp(-1), rtol=1e-6, atol=0.0)
    found = torch.autograd.grad(value.sum(), own, retain_graph=True)
    for gradient, expected in zip(found, torch.autograd.grad(dense.logsumexp(-1).sum(), own), strict=True):
        torch.testing.assert_close(gradient, expected, rtol=1e-5, atol=1e-6)


def test_equal_logits():
    eta = Affine(torch.zeros(2, 3), torch.zeros(10_000, 3), torch.full((10_000,), -1e4))
    torch.testing.assert_close(eta.logsumexp(), torch.full((2,), -1e4 + 9.210340371976184))


@pytest.mark.parametrize(("rest", "dtype"), [(-100.0, None), (-103.0, None), (-103.9, None), (-16.0, torch.float16)])
def test_probabilities_below_the_normal_numbers(rest, dtype):
    """There p has few digits left, or none: the value must not be read off such words' logarithms."""
    bias = torch.full((200,), rest)
    bias[7] = 0.0
    eta = Affine(torch.zeros(3, 2), torch.zeros(200, 2), bias)
    with torch.autocast("cpu", dtype, enabled=dtype is not None):
        value = eta.logsumexp()
    torch.testing.assert_close(value, bias.logsumexp(-1).expand(3), rtol=0.0, atol=1e-6 if dtype is None else 1e-3)


@pytest.mark.parametrize("inputs", [torch.float32, torch.bfloat16], ids=str)
def test_under_autocast(inputs):
    """bfloat16 products have three digits: values within 0.02 + 1 %, gradients within 2 %, in the weight's dtype."""
    own = parts(64, dtype=torch.float32)
    h = own[0].to(inputs)
    reference = F.linear(h.float(), *own[1:]).logsumexp(-1)
    with torch.autocast("cpu", torch.bfloat16):
        value = Affine(h, *own[1:]).logsumexp()
    assert value.dtype == torch.float32
    torch.testing.assert_close(value, reference, rtol=0.01, atol=0.02)
    found = torch.autograd.grad(value.sum(), own)
    for gradient, expected in zip(found, torch.autograd.grad(reference.sum(), own), strict=True):
        assert gradient.dtype == torch.float32
        assert (gradient - expected).norm() <= 0.02 * expected.norm()


@pytest.mark.parametrize("batch", [(), (1,), (2, 3)], ids=str)
def test_inner_product_with_sparse_rows(batch):
    x = torch.tensor([[1.0, 0, 0, 2, 0, 0, 3], [0, 0, 0, 0, 0, 0, 0], [0, 5, 0, 0, 0, 0, 0]], dtype=torch.float64)
    own = parts(*batch, 3)
    value, expected = Affine(*own).inner(Counts.from_dense(x)), (x * F.linear(*own)).sum(-1)
    torch.testing.assert_close(value, expected)
    found = torch.autograd.grad(value.square().sum(), own)
    for gradient, true in zip(found, torch.autograd.grad(expected.square().sum(), own), strict=True):
        torch.testing.assert_close(gradient, true)


@pytest.mark.parametrize("onednn", [True, False])
@pytest.mark.parametrize("words", [7, 2000])
def test_single_precision_against_double(monkeypatch, onednn, words):
    """By either library, to the rounding of single precision: rows of inputs that are no neighbours, any weights."""
    monkeypatch.setattr(affine, "_HAS_ONEDNN", onednn and affine._HAS_ONEDNN)
    torch.manual_seed(0)
    exact = [torch.randn(s, dtype=torch.float64, requires_grad=True) for s in ((5, 40), (words, 5), (words,))]
    single = [part.detach().float().requires_grad_() for part in exact]
    value = Affine(single[0].T, *single[1:]).logsumexp()
    true = F.linear(exact[0].T, *exact[1:]).logsumexp(-1)
    torch.testing.assert_close(value.double(), true, rtol=0.0, atol=3e-6)
    weights = torch.randn(40, dtype=torch.float64)
    found = torch.autograd.grad((weights.float() * value).sum(), single)
    for gradient, expected in zip(found, torch.autograd.grad((weights * true).sum(), exact), strict=True):
        torch.testing.assert_close(gradient.double(), expected, rtol=1e-4, atol=3e-6)
