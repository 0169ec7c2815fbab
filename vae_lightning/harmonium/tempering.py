"""Tempering: a harmonium and a bias of independent v -> the path between them, at many temperatures at once."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from vae_lightning.families import ExponentialFamily
from vae_lightning.harmonium.harmonium import Harmonium

Beta = float | Float[Tensor, "K 1"]
"""One inverse temperature, of v (*B, *E), or one for each replica, of v (*B, K, *E)."""


@dataclass(frozen=True, eq=False)
class Tempering:
    """p_beta(v, h) ~ p_0(v, h)^(1 - beta) p(v, h)^beta, with v and h independent at beta = 0: the geometric path.

    There v has the parameters `visible_start` (P_v,), those of the training data's mean, and h is as flat as its family
    can be, fair bits: what W and the biases of h balance in the model, they balance at every temperature. A `Path`,
    with h summed out, whose temperatures may be tensors, too. Source: Salakhutdinov, Murray, On the Quantitative
    Analysis of Deep Belief Networks (2008), Eq. 14 to 17.
    """

    visible: ExponentialFamily
    hidden: ExponentialFamily
    a: Tensor
    b: Tensor
    weight: Tensor
    visible_start: Tensor
    hidden_start: Tensor

    @classmethod
    def of(cls, model: Harmonium, visible_bias: Float[Tensor, " P"]) -> Tempering:
        """To this model, of documents with their lengths, from the v of this bias."""
        start, flat = model.visible.constrain(visible_bias.to(model.weight)), model.b.clone()
        flat[model.hidden.coupled] = 0
        return cls(model.visible, model.hidden, model.a, model.b, model.weight, start, flat)

    def said(self, v: Tensor) -> tuple[Float[Tensor, "*B C"], Float[Tensor, "*B 1"]]:
        """All of v that log p_beta(v) depends on with beta: its field T(v) W, and <a - start, T(v)>."""
        linear = self.visible.sufficient_statistics(v) @ (self.a - self.visible_start)
        return self.visible.field(v, self.weight), linear[..., None]

    def log_density(self, field: Tensor, linear: Tensor, beta: Beta) -> Float[Tensor, "*B"]:
        """Log p_beta(v), up to its constant and what is the same for every beta, from what v has `said`."""
        return self.hidden.log_partition(self.hidden_natural(field, beta)) + (beta * linear)[..., 0]

    def hidden_natural(self, field: Tensor, beta: Beta) -> Float[Tensor, "*B P"]:
        """The parameters of p_beta(h | v), from the field of v."""
        return self.hidden.shifted(torch.lerp(self.hidden_start, self.b, beta), beta * field)

    def visible_natural(self, h: Tensor, beta: Beta) -> Float[Tensor, "*B P"]:
        """The parameters of p_beta(v | h)."""
        a = torch.lerp(self.visible_start, self.a, beta)
        return self.visible.shifted(a, beta * self.hidden.field(h, self.weight.T))

    def log_ratio(self, x: Tensor, start: Beta, end: Beta) -> Float[Tensor, "*B"]:
        """Log p_end(v) - log p_start(v), unnormalised."""
        field, linear = self.said(x)
        return self.log_density(field, linear, end) - self.log_density(field, linear, start)

    def transition(self, x: Tensor, beta: Beta) -> Tensor:
        """One step of h given v and v given h."""
        h = self.hidden.sample(self.hidden_natural(self.visible.field(x, self.weight), beta))
        return self.visible.sample(self.visible_natural(h, beta))
