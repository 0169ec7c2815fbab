"""Affine: natural parameters W h + b that are multiplied out only if somebody needs them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from vae_lightning.counts import Counts


@dataclass(frozen=True, eq=False)
class Affine:
    """eta = W h + b, one row for each h, of which a bag of words needs only <x, eta> and log sum exp eta.

    The first is <W^T x, h> + <b, x>: sparse, and shared by all samples of h. The second has a gradient in terms of
    softmax(eta), so that eta itself is written once and never scaled: its rows' factors go to the narrow h.
    """

    inputs: Float[Tensor, "*batch d"]
    weight: Float[Tensor, "parameters d"]
    bias: Float[Tensor, " parameters"]

    @property
    def shape(self) -> torch.Size:
        """The shape of eta."""
        return torch.Size((*self.inputs.shape[:-1], len(self.bias)))

    def dense(self) -> Float[Tensor, "*batch parameters"]:
        """Eta, multiplied out."""
        return F.linear(self.inputs, self.weight, self.bias)

    def inner(self, x: Counts) -> Float[Tensor, "*batch"]:
        """<x, eta> for the rows of x along the last axis of the batch."""
        return (self.inputs * (x @ self.weight)).sum(-1) + x @ self.bias

    def logsumexp(self) -> Float[Tensor, "*batch"]:
        """Log sum exp of eta, in the dtype of the weight; under autocast the products are taken in its dtype."""
        device = self.inputs.device.type
        dtype = torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else self.inputs.dtype
        rows = self.inputs.reshape(-1, self.inputs.shape[-1])
        value = _LogSumExp.apply(rows, self.weight, self.bias, dtype)
        return value.reshape(self.inputs.shape[:-1])


Eta = Tensor | Affine
"""Natural parameters as families take them and networks give them: most take Tensors alone, a Multinomial both."""


def dense(eta: Eta) -> Float[Tensor, "*batch parameters"]:
    """Eta, multiplied out if it was not."""
    return eta.dense() if isinstance(eta, Affine) else eta


_COLUMNS = 16


class _LogSumExp(torch.autograd.Function):
    """log sum_k exp(W h + b)_k; backward d/dh = p W, d/dW = p^T h, d/db = sum p, with p = softmax(W h + b)."""

    @staticmethod
    def forward(ctx: Any, h: Tensor, weight: Tensor, bias: Tensor, dtype: torch.dtype) -> Tensor:
        factors = h.to(dtype), weight.to(dtype), bias.to(dtype)
        eta = linear(*factors)
        # log sum exp eta = eta_k - log p_k for every k: the mean over some columns evens out the rounding of p, which
        # matters in half precision, where a document's log-likelihood has no digits to spare
        some_eta = eta[:, :_COLUMNS].to(weight.dtype, copy=True)  # neighbours, which a row of the cache holds
        # in place where torch's kernel goes row by row: another matrix of this size costs as much as the softmax
        p = torch.softmax(eta, -1, out=eta) if eta.device.type == "cpu" else torch.softmax(eta, -1)
        some_p = p[:, :_COLUMNS]
        value = (some_eta - some_p.to(weight.dtype).log()).mean(-1)
        # below the normal numbers p_k has few digits or none; the largest one is at least 1/K
        normal = (some_p >= torch.finfo(dtype).tiny).all()
        if eta.device.type != "cpu":  # where to ask is to wait
            value = torch.where(normal, value, _by_largest(eta, p, weight.dtype))
        elif not normal:
            value = _by_largest(linear(*factors), p, weight.dtype)
        if any(ctx.needs_input_grad):
            ctx.save_for_backward(h, weight, p)
        return value

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        h, weight, p = ctx.saved_tensors
        g = gradient[:, None]
        to_h = g * linear(p, weight.to(p.dtype).T).to(h.dtype) if ctx.needs_input_grad[0] else None
        if not any(ctx.needs_input_grad[1:]):
            return to_h, None, None, None
        to_weight, to_bias = _weighted(p, (g * h).to(p.dtype), g.to(p.dtype))
        return to_h, to_weight.to(weight.dtype), to_bias.to(weight.dtype), None


def _by_largest(eta: Tensor, p: Tensor, dtype: torch.dtype) -> Tensor:
    """The same from the largest entry of each row alone."""
    return eta.amax(-1).to(dtype) - p.amax(-1).to(dtype).log()


def _weighted(p: Tensor, gh: Tensor, g: Tensor) -> tuple[Tensor, Tensor]:
    """p^T (g h) and p^T g, by oneDNN in one pass over p."""
    if not _by_onednn(p):
        return p.T @ gh, (p.T @ g)[:, 0]
    both = linear(torch.cat([gh, g], -1).T, p.T)
    return both[:-1].T.contiguous(), both[-1]


def linear(rows: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """F.linear without a gradient; float32 on CPUs by oneDNN: on AMD, for 10,000 words, MKL is a fifth slower."""
    if _by_onednn(rows):
        return torch.ops.mkldnn._linear_pointwise(rows.contiguous(), weight, bias, "none", [], "")
    return F.linear(rows, weight, bias)


def _by_onednn(rows: Tensor) -> bool:
    return rows.dtype is torch.float32 and rows.device.type == "cpu" and rows.numel() > 0 and _HAS_ONEDNN


# the operation is one of torch's own, which may go
_HAS_ONEDNN = torch.backends.mkldnn.is_available() and hasattr(torch.ops.mkldnn, "_linear_pointwise")
