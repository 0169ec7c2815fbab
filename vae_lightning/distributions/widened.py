"""widened: q of Gaussians and a factor -> the same with all deviations from the mean so many times as large."""

from __future__ import annotations

import functools

import torch.distributions as td

from vae_lightning.distributions.block_gaussian import BlockGaussian
from vae_lightning.distributions.flowed import Flowed
from vae_lightning.distributions.kinds import base
from vae_lightning.distributions.parameters import rebuilt


def widened(q: td.Distribution, factor: float) -> td.Distribution | None:
    """Gaussians, also in blocks, of deviations `factor` times as large, and a flow of such; None for another q."""
    variables = base(q)
    return (
        rebuilt(q, (variables.loc, factor * variables.scale)) if isinstance(variables, td.Normal) else _wider(q, factor)
    )


@functools.singledispatch
def _wider(q: td.Distribution, factor: float) -> td.Distribution | None:
    return None


@_wider.register
def _(q: BlockGaussian, factor: float) -> td.Distribution:
    return BlockGaussian(q.loc, factor * q.scale_tril, q.event_shape)


@_wider.register
def _(q: Flowed, factor: float) -> td.Distribution:
    return Flowed(q.loc, factor * q.scale, q.context, q.flow, q.event_shape)
