"""Enumeration: q -> all values of its variables, if they are few enough to be listed."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.distributions as td
import torch.nn.functional as F
from jaxtyping import Float, Int64
from torch import Size, Tensor
from torch.distributions import constraints

from vae_lightning.distributions.kinds import base, factors

HELD_BITS, SUMMED_BITS, PAIRED_BITS = 16, 20, 12
"""What is listed has at most 2^16 values where all are held at once, 2^20 where they are summed a chunk at a time, and
2^12 where each is paired with as many others, or has a row of outputs of its own."""


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

    def every(self, like: Tensor) -> Float[Tensor, "states *event"]:
        """All values in order, in the dtype and on the device of `like`."""
        return self.numbered(torch.arange(self.count, device=like.device), like)


def states(q: td.Distribution) -> States | None:
    """The values that q can take: of independent discrete variables, or bits that depend on each other; else None."""
    variables = base(q)
    if not variables.has_enumerate_support:
        return None
    if variables is not q:
        number = variables.batch_shape[len(q.batch_shape) :].numel()
        return States(q.event_shape, len(variables.enumerate_support(expand=False)), number)
    bits = isinstance(q.support, constraints.independent) and q.support.base_constraint is constraints.boolean
    return States(q.event_shape, 2, q.event_shape.numel()) if bits else None


def enumerate_codes(q: td.Distribution) -> Float[Tensor, "codes *batch_and_latent"]:
    """Every value q can take, (codes, B, *Z), first variable slowest."""
    variables, values = factors(q), states(q)
    if variables is None or values is None:
        return q.enumerate_support()
    codes = values.every(variables.enumerate_support(expand=False))
    shape = (len(codes), *q.batch_shape, *q.event_shape)
    return codes.reshape(len(codes), *[1] * len(q.batch_shape), *q.event_shape).expand(shape)
