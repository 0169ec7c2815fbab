"""Posterior means over the data -> how many latent units the encoder uses."""

from __future__ import annotations

import math
from dataclasses import dataclass

from jaxtyping import Float, Float64, Int64
from torch import Tensor


@dataclass(frozen=True, eq=False)
class UnitVariances:
    """The variance over the data of each unit's posterior mean, and what counts as active."""

    variances: Float64[Tensor, "*latent"]
    threshold: float

    @property
    def active(self) -> Tensor:
        """Which units vary by more than the threshold, booleans of shape Z."""
        return self.variances > self.threshold

    @property
    def count(self) -> Int64[Tensor, ""]:
        """How many do."""
        return self.active.sum()


def active_units(means: Float[Tensor, "observations *latent"], threshold: float = 0.01) -> UnitVariances:
    """A_i = Var_x(E_q(z|x)[z_i]): a unit is active if its posterior mean varies over the data by more than `threshold`.

    Variances are unbiased (division by N - 1), in float64 and in squared units of z. means is (N, *Z), one row for each
    of N >= 2 observations. Raises ValueError for fewer, for a mean that is not finite, or for a negative threshold.
    Source: Burda et al., Importance Weighted Autoencoders (2016), Section 5.

    Examples:
        >>> import torch
        >>> from vae_lightning.metrics.functional import active_units
        >>> units = active_units(torch.tensor([[-1.0, 0.0], [1.0, 0.0]]))
        >>> units.count, units.variances
        (tensor(1), tensor([2., 0.], dtype=torch.float64))
    """
    return unit_variances(deviations_of(means), threshold)


@dataclass(frozen=True, eq=False)
class Deviations:
    """Count, mean and sum of squared deviations of N rows: what merges exactly, however far the mean is from zero."""

    count: Float64[Tensor, ""]
    mean: Float64[Tensor, "*latent"]
    squares: Float64[Tensor, "*latent"]

    def merge(self, other: Deviations) -> Deviations:
        """Both together. Source: Chan, Golub, LeVeque, Updating Formulae and a Pairwise Algorithm (1979), Eq. 2.1."""
        count = self.count + other.count
        share = other.count / count.clamp(min=1)
        gap = other.mean - self.mean
        squares = self.squares + other.squares + gap.square() * self.count * share
        return Deviations(count, self.mean + gap * share, squares)


def deviations_of(means: Float[Tensor, "observations *latent"]) -> Deviations:
    """Of one batch; raises ValueError unless it is (B, *Z) and finite."""
    if means.ndim < 1 or not len(means):
        raise ValueError(f"posterior means must be (N, *Z) with N >= 1, got shape {tuple(means.shape)}")
    if not means.isfinite().all():
        raise ValueError("posterior means must be finite, got NaN or infinity")
    means = means.detach().double()
    mean = means.mean(0)
    return Deviations(means.new_tensor(len(means)), mean, (means - mean).square().sum(0))


def unit_variances(deviations: Deviations, threshold: float) -> UnitVariances:
    """The variances; raises ValueError for fewer than two observations or a threshold that is negative."""
    if not 0 <= threshold < math.inf:
        raise ValueError(f"active units need a threshold >= 0 on a variance, got {threshold}")
    if deviations.count < 2:
        raise ValueError(f"a variance over the data needs two observations or more, got {int(deviations.count)}")
    return UnitVariances(deviations.squares / (deviations.count - 1), threshold)


def merge_all(deviations: list[Deviations]) -> Deviations:
    """All of them as one, in order."""
    merged = deviations[0]
    for other in deviations[1:]:
        merged = merged.merge(other)
    return merged
