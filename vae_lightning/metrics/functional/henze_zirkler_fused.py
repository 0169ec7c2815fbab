"""Samples -> their Henze-Zirkler statistics as a loss: value and gradient in one pass over the pairs."""

from __future__ import annotations

import math
from typing import Any

import torch
from jaxtyping import Bool, Float, Float64
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.fx.experimental.proxy_tensor import get_proxy_mode

from vae_lightning.metrics.functional.henze_zirkler import _bandwidth

_CACHE = 1 << 19  # bytes of kernel held at once: half of what a core keeps near itself, the rest for all else


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
    value, _ = _Fused.apply(z)
    return value


class _Fused(torch.autograd.Function):
    """(*M, n, d) -> the statistics, and their gradients, which backward only has to scale.

    Within, observations are columns, v = L^-1 Y has orthonormal rows and u = s v, with s^2 = n b^2 / ln 2, is such that
    K_jk = 2^(-|u_j - u_k|^2 / 2). For one small sample the time is that of calling operations: few are called.
    """

    @staticmethod
    def forward(z: Tensor) -> tuple[Tensor, Tensor]:
        n, d = z.shape[-2:]
        b2 = _bandwidth(n, d)
        scale, near = math.sqrt(n * b2 / math.log(2)), n * (1 + b2) ** (-d / 2)
        v, root, tolerance, singular = _whiten(z.reshape(-1, n, d))
        u = (v * scale).to(z.dtype)
        half = u.square().sum(1, keepdim=True) * -0.5
        e = (half * (math.log(2) / (1 + b2))).exp()
        recorded = torch.compiler.is_compiling() or get_proxy_mode()
        sums = (kernel_sums if recorded else _kernel_sums)(u, half).double()
        products, rows = sums[:, :d], sums[:, d:]

        value = torch.sub(rows, e, alpha=2 * near).sum((1, 2)) / n + n * (1 + 2 * b2) ** (-d / 2)
        value = torch.where(singular, 4.0 * n + 0.0 * tolerance.sum(1), value)  # nan where z is not finite
        gradient = products - torch.sub(rows, e, alpha=near / (1 + b2)) * u
        gradient = _through_whitening(gradient * (2 * math.log(2) / n * scale), v, root)
        gradient = gradient.masked_fill(singular[:, None, None], 0.0)
        return value.to(z.dtype).view(z.shape[:-2]), gradient.mT.to(z.dtype).reshape(z.shape)

    @staticmethod
    def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
        ctx.save_for_backward(output[1])
        ctx.mark_non_differentiable(output[1])

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, upstream: Tensor, _: Tensor) -> Tensor:
        (gradient,) = ctx.saved_tensors
        return upstream[..., None, None] * gradient

    @staticmethod
    def vmap(info: Any, in_dims: Any, z: Tensor) -> tuple[tuple[Tensor, Tensor], tuple[int, int]]:
        return _Fused.apply(z.movedim(in_dims[0], 0)), (0, 0)


def _kernel_sums(u: Float[Tensor, "M d n"], half: Float[Tensor, "M 1 n"]) -> Float[Tensor, "M d+1 n"]:
    """u K and 1 K for K_jk = 2^(-|u_j - u_k|^2 / 2), half being -|u_j|^2 / 2: exp2 takes a third of exp's time."""
    n, ones = u.shape[2], torch.ones_like(half)
    left, right = torch.cat((u, half, ones), 1).mT, torch.cat((u, ones, half), 1)  # one product gives the exponent
    weights = right[:, :-1]
    sums = torch.zeros_like(weights)
    block = max(1, min(n, _CACHE // (n * u.element_size())))
    buffer = u.new_empty(block, n)
    for its_left, its_right, its_weights, its_sums in zip(left, right, weights, sums, strict=True):
        for some_left, some_weights in zip(its_left.split(block), its_weights.split(block, 1), strict=True):
            kernel = torch.mm(some_left, its_right, out=buffer[: len(some_left)])
            its_sums.addmm_(some_weights, kernel.exp2_())  # K is symmetric, and this is its fast side
    return sums


kernel_sums = torch.library.custom_op(
    "vae_lightning::kernel_sums", _kernel_sums, mutates_args=(), schema="(Tensor u, Tensor half) -> Tensor"
)
"""The same as an operation: one node of a recorded graph, whatever M. Outside of one it would cost its dispatch."""


@kernel_sums.register_fake
def _(u: Tensor, half: Tensor) -> Tensor:
    return u.new_empty(u.shape[0], u.shape[1] + 1, u.shape[2])


@torch.library.custom_op("vae_lightning::kept", mutates_args=(), schema="(Tensor x) -> Tensor")
def kept(x: Tensor) -> Tensor:
    """A contiguous copy, also where a compiler would rather compute x anew for each pair."""
    return x.clone(memory_format=torch.contiguous_format)


@kept.register_fake
def _(x: Tensor) -> Tensor:
    return x.new_empty(x.shape)


def fusable_kernel_sums(u: Float[Tensor, "M d n"], half: Float[Tensor, "M 1 n"]) -> Float[Tensor, "M d+1 n"]:
    """The same without loops over members: compiled, each pair is read once and K is never in memory, if d is small."""
    u, half = kept(u), kept(half)
    exponent = half.mT + half
    for row in u.unbind(1):
        exponent = exponent + row[:, :, None] * row[:, None, :]
    kernel = exponent.exp2()
    return torch.stack([*((kernel * row[:, None, :]).sum(2) for row in u.unbind(1)), kernel.sum(2)], 1)


def _whiten(
    z: Float[Tensor, "M n d"],
) -> tuple[Float64[Tensor, "M d n"], Float64[Tensor, "M d d"], Float64[Tensor, "M d"], Bool[Tensor, " M"]]:
    """V = L^-1 Y with n S = Y Y^T = L L^T, that L, what rounding makes of pivots that are 0, and which S are singular.

    Where z is not finite the tolerance is not either, and S counts as singular. A singular S leaves anything in V.
    """
    n, d = z.shape[1:]
    y = z.mT.double()
    stored = torch.linalg.vector_norm(y, math.inf, 2).square() * (n * (4 * torch.finfo(z.dtype).eps) ** 2)
    y = y - y.mean(2, keepdim=True)
    scatter = y @ y.mT
    root, failed = torch.linalg.cholesky_ex(scatter)
    tolerance = scatter.diagonal(dim1=1, dim2=2) * ((n + d) * torch.finfo(torch.float64).eps) + stored
    # a pivot is n times the variance that the columns before leave unexplained
    regular = (root.diagonal(dim1=1, dim2=2).square() > tolerance).all(1) & (failed == 0)
    return torch.linalg.solve_triangular(root, y, upper=False), root, tolerance, ~regular


def _through_whitening(
    gradient: Float64[Tensor, "M d n"], v: Float64[Tensor, "M d n"], root: Float64[Tensor, "M d d"]
) -> Float64[Tensor, "M d n"]:
    """The gradient for z, of a function of v that no rotation changes: less its mean, less g v^T v, and L^-T times."""
    gradient = gradient - gradient.mean(2, keepdim=True)
    return torch.linalg.solve_triangular(root.mT, gradient - gradient @ v.mT @ v, upper=True)
