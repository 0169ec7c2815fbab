"""Gradients known otherwise: a value, and its gradient or a surrogate that has it -> the value with that gradient."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor


def with_gradient_of(value: Tensor, surrogate: Tensor) -> Tensor:
    """`value`, whose gradient is its own plus the surrogate's."""
    return value + (surrogate - surrogate.detach())  # an exact zero: a large surrogate costs the value no digits


def with_gradients(value: Tensor, gradients: Sequence[Tensor], parameters: Sequence[Tensor]) -> Tensor:
    """`value`, whose backward pass gives the parameters these gradients, once: it takes them over."""
    return _Known.apply(value, tuple(gradients), *parameters)


class _Known(torch.autograd.Function):
    """A value whose gradient with respect to the parameters is known already."""

    @staticmethod
    def forward(ctx: Any, value: Tensor, gradients: tuple[Tensor, ...], *parameters: Tensor) -> Tensor:
        ctx.gradients = gradients
        return value.clone()

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, upstream: Tensor) -> tuple[Tensor | None, ...]:
        gradients, ctx.gradients = ctx.gradients, ()  # nobody else holds them: .grad takes them without a copy
        return None, None, *(gradient.mul_(upstream) for gradient in gradients)
