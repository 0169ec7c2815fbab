"""Moments of a harmonium, of the data and of the model -> the gradient of the log-likelihood in closed form."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

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

    def plus(self, model: Harmonium, v: Tensor | Counts, h: Float[Tensor, "n P"], scale: float) -> Moments:
        """These and those `of` rows, in one pass over the couplings where rows are dense; takes over these tensors."""
        if isinstance(v, Counts):
            more = Moments.of(model, v, h, scale)
            pairs = (self.coupling, more.coupling), (self.visible, more.visible), (self.hidden, more.hidden)
            return Moments(*(mine.add_(others) for mine, others in pairs))
        t = model.visible.sufficient_statistics(v)
        self.coupling.addmm_(t[:, model.visible.coupled].T, h, alpha=scale)
        return Moments(self.coupling, self.visible.add_(t.sum(0), alpha=scale), self.hidden.add_(h.sum(0), alpha=scale))


class Gradient(NamedTuple):
    """The gradient of a loss with respect to a harmonium's parameters, in the order of `harmonium.parameters()`."""

    weight: Tensor
    visible_bias: Tensor
    hidden_bias: Tensor


@dataclass(frozen=True, eq=False)
class ContrastiveMoments:
    """E[S(h) | v] of the data (B, P_h); the model's moments; the samples of v that they are of; figures by name."""

    hidden: Tensor
    model: Moments
    samples: Tensor | None
    figures: Mapping[str, Tensor] = field(default_factory=dict)


def likelihood_gradient(
    model: Harmonium, v: Tensor | Counts, moments: ContrastiveMoments, sparsity: Sparsity | None
) -> Gradient:
    """The gradient of -mean log p(v) and the penalty: the model's moments, which it takes over, minus the data's."""
    hidden = moments.hidden if sparsity is None else moments.hidden - sparsity.pull(moments.hidden)
    difference = moments.model.plus(model, v, hidden, -1 / len(v))
    return Gradient(
        difference.coupling,
        model.visible.pulled_back(model.visible_bias, difference.visible),
        model.hidden.pulled_back(model.hidden_bias, difference.hidden),
    )


def contrast(
    model: Harmonium, v: Tensor | Counts, moments: ContrastiveMoments, sparsity: Sparsity | None
) -> Float[Tensor, ""]:
    """The data's mean F minus that of the samples, or -mean log p(v) where there are none, plus the penalty."""
    samples = moments.samples
    normaliser = model.log_partition() if samples is None else -model.free_energy(samples).mean()
    value = model.free_energy(v).mean() + normaliser
    return value if sparsity is None else value + sparsity.penalty(moments.hidden)
