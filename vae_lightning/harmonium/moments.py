"""Moments of a harmonium, of the data and of the model -> the gradient of the log-likelihood in closed form."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from vae_lightning.counts import Counts
from vae_lightning.harmonium.harmonium import Harmonium
from vae_lightning.harmonium.sparsity import Sparsity


@dataclass(frozen=True, eq=False)
class Moments:
    """E[T_c(v) S(h)^T] (C_v, P_h), E[T(v)] (P_v,) and E[S(h)] (P_h,): what log p's gradient is a difference of."""

    coupling: Tensor
    visible: Tensor
    hidden: Tensor

    @classmethod
    def of(cls, model: Harmonium, v: Tensor | Counts, h: Float[Tensor, "n P"], scale: float) -> Moments:
        """Sums over rows v (n, *E) and E[S(h) | v], times `scale`."""
        h = h * scale
        if isinstance(v, Counts):
            ones = h.new_full((len(v), 1), scale)
            words = v.transposed_matmul(torch.cat((h, ones), 1), model.visible.num_parameters)
            return cls(words[:, :-1], words[:, -1], h.sum(0))
        t = model.visible.sufficient_statistics(v)
        return cls(t[:, model.visible.coupled].T @ h, t.sum(0).mul_(scale), h.sum(0))

    def add_(self, model: Harmonium, v: Tensor | Counts, h: Float[Tensor, "n P"], scale: float) -> Moments:
        """Add those `of` rows, in one pass over the couplings where rows are dense."""
        if isinstance(v, Counts):
            more = Moments.of(model, v, h, scale)
            pairs = (self.coupling, more.coupling), (self.visible, more.visible), (self.hidden, more.hidden)
            return Moments(*(mine.add_(others) for mine, others in pairs))
        t = model.visible.sufficient_statistics(v)
        self.coupling.addmm_(t[:, model.visible.coupled].T, h, alpha=scale)
        return Moments(self.coupling, self.visible.add_(t.sum(0), alpha=scale), self.hidden.add_(h.sum(0), alpha=scale))


@dataclass(frozen=True, eq=False)
class Gradient:
    """Of a loss, with respect to the parameters of a harmonium, in the order of `harmonium.parameters()`."""

    weight: Tensor
    visible_bias: Tensor
    hidden_bias: Tensor


@dataclass(frozen=True, eq=False)
class Phases:
    """E[S(h) | v] of the data (B, P_h); the model's moments; and the samples of v that they were taken from."""

    hidden: Tensor
    model: Moments
    samples: Tensor | None


def likelihood_gradient(model: Harmonium, v: Tensor | Counts, phases: Phases, sparsity: Sparsity | None) -> Gradient:
    """Of -mean log p(v), plus the penalty, with respect to the parameters: the model's moments minus the data's."""
    hidden = phases.hidden if sparsity is None else phases.hidden - sparsity.pull(phases.hidden)
    moments = phases.model.add_(model, v, hidden, -1 / len(v))
    return Gradient(
        moments.coupling,
        model.visible.pulled_back(model.visible_bias, moments.visible),
        model.hidden.pulled_back(model.hidden_bias, moments.hidden),
    )


class _ClosedForm(torch.autograd.Function):
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


def with_gradient(value: Tensor, gradient: Gradient, model: Harmonium) -> Tensor:
    """The value, such that its backward pass fills .grad with this gradient, once."""
    gradients = gradient.weight, gradient.visible_bias, gradient.hidden_bias
    return _ClosedForm.apply(value, gradients, model.weight, model.visible_bias, model.hidden_bias)
