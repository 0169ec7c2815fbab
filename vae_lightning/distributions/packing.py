"""Packing: q of N rows -> one matrix of all their parameters, and back, so that rows can be chosen, kept and joined."""

from __future__ import annotations

import functools

import torch
import torch.distributions as td
from jaxtyping import Float
from torch import Tensor

from vae_lightning.distributions.block_gaussian import BlockGaussian
from vae_lightning.distributions.flowed import Flowed


@functools.singledispatch
def packed(q: td.Distribution) -> Float[Tensor, "*B P"] | None:
    """The parameters of correlated Gaussians or of a flow, (*B, P); None for another q."""
    return None


@packed.register
def _(q: BlockGaussian) -> Tensor:
    return torch.cat((q.loc, q.scale_tril.flatten(-3)), -1)


@packed.register
def _(q: Flowed) -> Tensor:
    return torch.cat((q.loc, q.scale, q.context), -1)


@functools.singledispatch
def unpacked(q: td.Distribution, rows: Float[Tensor, "*B P"]) -> td.Distribution:
    """As q, of these parameters in place of its own; TypeError where `packed` has none."""
    raise TypeError(f"the parameters of {type(q).__name__} are not packed")


@unpacked.register
def _(q: BlockGaussian, rows: Tensor) -> td.Distribution:
    size = q.loc.shape[-1]
    return BlockGaussian(rows[..., :size], rows[..., size:].unflatten(-1, q.scale_tril.shape[-3:]), q.event_shape)


@unpacked.register
def _(q: Flowed, rows: Tensor) -> td.Distribution:
    size = q.loc.shape[-1]
    loc, scale, context = rows.split((size, size, q.context.shape[-1]), -1)
    return Flowed(loc, scale, context, q.flow, q.event_shape)
