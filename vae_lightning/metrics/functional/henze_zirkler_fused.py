"""Samples -> their Henze-Zirkler statistics as a loss: value and gradient in one pass over the pairs."""

from __future__ import annotations

import math
from typing import Any

import torch
from jaxtyping import Bool, Float, Float64
from torch import Tensor
from torch.autograd.function import once_differentiable

from vae_lightning.metrics.functional.henze_zirkler import _bandwidth

_CACHE = 1 << 20  # bytes of kernel held at once: what a core keeps near itself


def fused_henze_zirkler(z: Float[Tensor, "*M n d"]) -> Float[Tensor, "*M"]:
    """The statistic of `henze_zirkler` for each of many samples, made to be trained with.

    With the whitened w_j, K_jk = exp(-b^2 |w_j - w_k|^2 / 2) and e_j = exp(-b^2 |w_j|^2 / (2 (1 + b^2))), the gradient
    for the whitened sample is, K being symmetric,

        dHZ/dw_j = -2 b^2 / n sum_k K_jk (w_j - w_k) + 2 b^2 (1 + b^2)^(-d/2 - 1) e_j w_j,

    which needs of K nothing but K 1 and K w: forward and backward read each pair once, in blocks of rows that stay in
    the cache, whatever the number of samples. A sample whose covariance is singular has HZ = 4 n and no gradient; one
    that is not finite has HZ = nan; the others go on. It differentiates once, also under `torch.func.vmap`.
    The covariance is factorised in float64, pairs are taken in the type of z, sums over them in float64; the result is
    in the type of z, between 0 and 4 n: its exponential overflows in float32 above 88, so a penalty takes care.
    No unit.

    Args:
        z: (*M, n, d), n observations of each sample.

    Raises:
        ValueError: fewer than two observations, or none of their entries.

    Source: Henze, Zirkler, A Class of Invariant Consistent Tests for Multivariate Normality (1990), Eqs. 2.2-2.4.
    """
    if z.ndim < 2 or z.shape[-2] < 2 or not z.shape[-1]:
        raise ValueError(f"fused_henze_zirkler needs (*M, n, d) with n >= 2 and d >= 1, got shape {tuple(z.shape)}")
    flat = z.reshape(-1, *z.shape[-2:])
    value, _ = _Fused.apply(flat)
    return value.reshape(z.shape[:-2])


class _Fused(torch.autograd.Function):
    """(M, n, d) -> the M statistics, and their gradients, which backward only has to scale."""

    @staticmethod
    def forward(z: Tensor) -> tuple[Tensor, Tensor]:
        n, d = z.shape[1:]
        b2 = _bandwidth(n, d)
        w, root, singular, finite = _whiten(z)
        e = (w.square().sum(-1) * (-b2 / (2 * (1 + b2)))).exp()
        rows, products = _kernel_sums((w * math.sqrt(b2 / math.log(2))).to(z.dtype), w.to(z.dtype))
        rows, products = rows.double(), products.double()

        near = (1 + b2) ** (-d / 2)
        value = rows.sum(-1) / n - 2 * near * e.sum(-1) + n * (1 + 2 * b2) ** (-d / 2)
        gradient = (2 * b2 / n) * (products - rows[..., None] * w) + (2 * b2 * near / (1 + b2)) * e[..., None] * w

        value = value.masked_fill(singular, 4.0 * n).masked_fill(~finite, math.nan)
        gradient = _through_whitening(gradient, w, root).masked_fill(singular[:, None, None], 0.0)
        return value.to(z.dtype), gradient.to(z.dtype)

    @staticmethod
    def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
        ctx.save_for_backward(output[1])
        ctx.mark_non_differentiable(output[1])

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, upstream: Tensor, _: Tensor) -> Tensor:
        (gradient,) = ctx.saved_tensors
        return upstream[:, None, None] * gradient

    @staticmethod
    def vmap(info: Any, in_dims: Any, z: Tensor) -> tuple[tuple[Tensor, Tensor], tuple[int, int]]:
        z = z.movedim(in_dims[0], 0)
        value, gradient = _Fused.apply(z.flatten(0, 1))
        return (value.unflatten(0, z.shape[:2]), gradient.unflatten(0, z.shape[:2])), (0, 0)


def _kernel_sums(
    u: Float[Tensor, "M n d"], w: Float[Tensor, "M n d"]
) -> tuple[Float[Tensor, "M n"], Float[Tensor, "M n d"]]:
    """K 1 and K w for K_jk = 2^(-|u_j - u_k|^2 / 2): exp2 takes a third of exp's time."""
    count, n, d = u.shape
    half, ones = -0.5 * u.square().sum(-1, keepdim=True), torch.ones_like(u[..., :1])
    left = torch.cat((u, half, ones), -1)  # so that one product gives the exponent
    right = torch.cat((u, ones, half), -1).mT.contiguous()
    weights = torch.cat((w, ones), -1).mT.contiguous()
    sums = torch.zeros_like(weights)
    block = max(1, min(n, _CACHE // (n * u.element_size())))
    buffer = u.new_empty(block, n)
    for member in range(count):
        for start in range(0, n, block):
            rows = slice(start, start + block)
            kernel = torch.mm(left[member, rows], right[member], out=buffer[: len(left[member, rows])])
            sums[member].addmm_(weights[member, :, rows], kernel.exp2_())  # K is symmetric, and this is its fast side
    return sums[:, d], sums[:, :d].mT


def _whiten(
    z: Float[Tensor, "M n d"],
) -> tuple[Float64[Tensor, "M n d"], Float64[Tensor, "M d d"], Bool[Tensor, " M"], Bool[Tensor, " M"]]:
    """Y L^-T with S = L L^T, that L, and which S are singular as far as the rounding of z can tell or not finite."""
    y = z.double()
    y = y - y.mean(1, keepdim=True)
    covariance = y.mT @ y / y.shape[1]
    finite = covariance.isfinite().all(-1).all(-1)
    covariance = covariance.masked_fill(~finite[:, None, None], 0.0)
    root, failed = torch.linalg.cholesky_ex(covariance)
    computed = sum(z.shape[1:]) * torch.finfo(torch.float64).eps * covariance.diagonal(dim1=-2, dim2=-1)
    stored = (4 * torch.finfo(z.dtype).eps * z.abs().amax(1).double()).square()
    # a pivot is the variance that the columns before leave unexplained
    pivots = root.diagonal(dim1=-2, dim2=-1).square()
    singular = failed.bool() | ~(pivots > computed + stored).all(-1)
    root = torch.where(singular[:, None, None], torch.eye(z.shape[2], dtype=root.dtype, device=z.device), root)
    return torch.linalg.solve_triangular(root, y.mT, upper=False).mT, root, singular, finite


def _through_whitening(
    gradient: Float64[Tensor, "M n d"], w: Float64[Tensor, "M n d"], root: Float64[Tensor, "M d d"]
) -> Float64[Tensor, "M n d"]:
    """The gradient for z, of a function of w that no rotation changes: less its mean, less w (w' g) / n, times L^-1."""
    gradient = gradient - gradient.mean(1, keepdim=True)
    gradient = gradient - w @ (w.mT @ gradient) / w.shape[1]
    return torch.linalg.solve_triangular(root, gradient, upper=False, left=False)
