"""Figures of an ensemble: a value of each member -> what is logged of them, and their means over a split."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Bool, Float
from torch import Tensor


def over_all(name: str, values: Float[Tensor, " M"], resting: Bool[Tensor, " M"]) -> dict[str, Tensor]:
    """Mean, least and standard deviation of a figure over the members that do not rest."""
    going = values[~resting]
    spread = going.std() if len(going) > 1 else going.new_zeros(())
    return {f"{name}/mean": going.mean(), f"{name}/best": going.min(), f"{name}/spread": spread}


def of_each(
    name: str, values: Float[Tensor, " M"], resting: Bool[Tensor, " M"], members: Sequence[str]
) -> dict[str, Tensor]:
    """A figure of each member, by the member's name, and over all."""
    each = {f"{name}/{member}": value for member, value in zip(members, values, strict=True)}
    return each | over_all(name, values, resting)


class SplitMeans:
    """Means over a split of figures that are (M,) means over each batch: `metrics.Averages` has one model's rows."""

    def __init__(self, figures: int, like: Float[Tensor, " M"]) -> None:
        self._sums, self._count = like.new_zeros(figures, len(like), dtype=torch.float64), 0
        self._dtype = like.dtype

    def update(self, figures: Sequence[Float[Tensor, " M"]], size: int) -> None:
        """Add the means over a batch of this size."""
        self._sums += torch.stack(list(figures)).double() * size
        self._count += size

    def compute(self) -> tuple[Tensor, ...]:
        """The mean of each figure, (M,)."""
        return (self._sums / self._count).to(self._dtype).unbind()
