"""Uncoupling: a harmonium and a visible bias -> the path from independent sides to the harmonium, for annealing."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from vae_lightning.families import ExponentialFamily


@dataclass(frozen=True, eq=False)
class Uncoupling:
    """p_beta(v) with coupling beta W and the visible parameters on the line from `start` to a; a `Path`.

    a, b and W are the harmonium's; `start` is where independent v begin, in natural parameters (P_v,).
    """

    visible: ExponentialFamily
    hidden: ExponentialFamily
    a: Tensor
    b: Tensor
    weight: Tensor
    start: Tensor

    def log_partition_at_zero(self) -> Tensor:
        """Log Z_0, of both sides apart."""
        return self.visible.log_partition(self.start) + self.hidden.log_partition(self.b)

    def sample_at_zero(self, num_chains: int) -> Tensor:
        """V of so many chains, (chains, *L, *E), from p_0."""
        return self.visible.sample(self.start.expand(num_chains, *self.log_partition_at_zero().shape, -1))

    def log_ratio(self, x: Tensor, start: float, end: float) -> Tensor:
        """Log p_end(v) - log p_start(v), unnormalised."""
        said = self.visible.field(x, self.weight)
        linear = self.visible.sufficient_statistics(x) @ (self.a - self.start)
        at_end, at_start = (
            self.hidden.log_partition(self.hidden.shifted(self.b, beta * said)) for beta in (end, start)
        )
        return at_end - at_start + (end - start) * linear

    def transition(self, x: Tensor, beta: float) -> Tensor:
        """One step of h given v and v given h."""
        said = self.visible.field(x, self.weight)
        h = self.hidden.sample(self.hidden.shifted(self.b, beta * said))
        a = torch.lerp(self.start, self.a, beta)
        return self.visible.sample(self.visible.shifted(a, beta * self.hidden.field(h, self.weight.T)))
