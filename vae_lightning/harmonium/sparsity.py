"""Sparsity: how often hidden bits are on -> a penalty and its derivative."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor

from vae_lightning.construction.arguments import check_kinds
from vae_lightning.families import ExponentialFamily


class Sparsity:
    """Keeps hidden bits seldom on: the loss has strength * sum_j (target - q_j)^2 more, q_j the batch's mean of h_j.

    q_j = 1/B sum_n P(h_j = 1 | v_n). For Bernoulli hidden units; TypeError for others.
    Source: Lee, Ekanadham, Ng, Sparse Deep Belief Net Model for Visual Area V2 (2008), Eq. 4.

    Args:
        target: the share of observations for which a unit should be on, between 0 and 1.
        strength: weight of the penalty, in nats; 0 or more.

    Examples:
        >>> import torch
        >>> from vae_lightning.harmonium import Sparsity
        >>> Sparsity(target=0.1, strength=2.0).penalty(torch.full((5, 4), 0.6))  # 2 x 4 x (0.1 - 0.6)^2
        tensor(2.)
    """

    def __init__(self, target: float, strength: float = 1.0) -> None:
        check_kinds(Sparsity, locals())
        if not 0 < target < 1:
            raise ValueError(f"Sparsity needs a target between 0 and 1, got {target}")
        if not strength >= 0:
            raise ValueError(f"Sparsity needs strength >= 0, got {strength}")
        self.target, self.strength = target, strength

    def check(self, hidden: ExponentialFamily) -> None:
        """TypeError unless hidden units are independent bits."""
        if not hidden.independent_bits:
            raise TypeError(f"Sparsity is of hidden bits: use hidden Bernoulli(m) with it, not {hidden!r}")

    def penalty(self, mean: Float[Tensor, "B m"]) -> Float[Tensor, ""]:
        """What the loss has more, for a batch of P(h_j = 1 | v_n)."""
        return self.strength * (self.target - mean.mean(0)).square().sum()

    def pull(self, mean: Float[Tensor, "B m"]) -> Float[Tensor, "B m"]:
        """B times the derivative of `penalty` with respect to each unit's logit."""
        return 2 * self.strength * (mean.mean(0) - self.target) * mean * (1 - mean)
