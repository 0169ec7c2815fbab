"""Enumeration: families of finitely many values -> those values by number, and sums over them in bounded memory."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from jaxtyping import Float, Int64
from torch import Tensor
from torch.distributions import constraints
from torch.utils.checkpoint import checkpoint

from vae_lightning.distributions import States
from vae_lightning.families.base import ExponentialFamily


def states(family: ExponentialFamily) -> States | None:
    """The values a family of bits or one-hot vectors can take; None for any other family."""
    kind, shape = support(family), family.event_shape
    if kind is constraints.boolean:
        return States(shape, 2, shape.numel())
    if kind is constraints.one_hot:
        return States(shape, shape[-1], shape[:-1].numel())
    return None


def support(family: ExponentialFamily) -> Any:
    """The torch constraint that one variable of the family obeys: boolean, one_hot, real, ..."""
    member = family.distribution(family.constrain(torch.zeros(family.num_parameters)))
    kind = member.support
    while isinstance(kind, constraints.independent):
        kind = kind.base_constraint
    return kind


def in_chunks(
    term: Callable[[Int64[Tensor, " n"]], Tensor], count: int, chunk: int, device: torch.device
) -> Float[Tensor, "count *batch"]:
    """term(0), ..., term(count - 1), computed `chunk` numbers at a time; `term` maps n numbers to (n, *batch).

    The backward pass computes each chunk again instead of keeping what led to it.
    """
    parts = torch.arange(count, device=device).split(max(chunk, 1))
    if len(parts) == 1:
        return term(parts[0])
    return torch.cat([checkpoint(term, part, use_reentrant=False, preserve_rng_state=False) for part in parts])
