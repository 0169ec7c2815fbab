"""Enumeration: families of finitely many values -> those values by number, and sums over them in bounded memory."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int64
from torch import Size, Tensor
from torch.distributions import constraints
from torch.utils.checkpoint import checkpoint

from vae_lightning.families.base import ExponentialFamily


@dataclass(frozen=True)
class States:
    """The values of so many variables, each with so many options, numbered from 0 with the first variable slowest."""

    event_shape: Size
    options: int
    variables: int

    @property
    def bits(self) -> float:
        """Log2 of how many values there are."""
        return self.variables * math.log2(self.options)

    @property
    def count(self) -> int:
        """How many values there are."""
        return self.options**self.variables

    def numbered(self, index: Int64[Tensor, "*N"], like: Tensor) -> Float[Tensor, "..."]:
        """The values with these numbers, (*N, *E), in the dtype of `like`: bits, or one-hot vectors."""
        place = torch.tensor([self.options**i for i in reversed(range(self.variables))], device=index.device)
        digits = index[..., None] // place % self.options
        one_hot = self.variables < self.event_shape.numel()
        x = F.one_hot(digits, self.options) if one_hot else digits
        return x.to(like.dtype).reshape(*index.shape, *self.event_shape)


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
