"""Values: a family -> what the entries of its observations may be, as a question and in words."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.distributions import constraints

from vae_lightning.families.base import ExponentialFamily
from vae_lightning.families.bernoulli import Bernoulli
from vae_lightning.families.categorical import Categorical
from vae_lightning.families.enumeration import support


@dataclass(frozen=True)
class Values:
    """What entries may be: as a question, which infinity never passes, in words, and what to do with others."""

    right: Callable[[Tensor], Tensor]
    needs: str
    way_out: str
    missing: bool = False  # whether NaN passes

    @property
    def finite(self) -> Values:
        """Finite ones, or missing ones where these pass."""
        return REALS.or_missing() if self.missing else REALS

    def or_missing(self) -> Values:
        """The same, or NaN for what is missing."""
        return Values(lambda x: x.isnan() | self.right(x), f"{self.needs}, or NaN for missing ones", self.way_out, True)


REALS = Values(
    torch.isfinite,
    "finite numbers",
    "leave such observations out, or fill in what is missing; families.PartlyObserved around the family takes NaN",
)
BITS = Values(
    lambda x: (x == 0) | (x == 1),
    "zeros and ones",
    "binarise them (see the data module's binarisation), or use Normal for reals, Multinomial for counts",
)
KINDS = {
    constraints.boolean: BITS,
    constraints.unit_interval: Values(
        lambda x: (x >= 0) & (x <= 1), "numbers from 0 to 1", "divide them by the largest there can be"
    ),
    constraints.nonnegative_integer: Values(
        lambda x: (x >= 0) & (x == x.round()) & x.isfinite(), "counts: 0, 1, 2, ...", "use Normal for reals"
    ),
    constraints.one_hot: Values(
        lambda x: ((x == 0) | (x == 1)) & (x.sum(-1, keepdim=True) == 1),
        "one-hot vectors",
        "use torch.nn.functional.one_hot",
    ),
}
INTENSITIES = (
    "binarise them (see the data module's binarisation), use Normal for reals, or ask for intensities=True, by which "
    "the log-probability is a cross-entropy and no figure a likelihood"
)


def values_of(family: ExponentialFamily) -> Values:
    """What the entries of its x may be."""
    intensities = isinstance(family, Bernoulli) and family.intensities
    return KINDS.get(constraints.unit_interval if intensities else support(family), REALS)


def in_column(family: ExponentialFamily) -> Values:
    """What a column of a table may hold of it: the number of a category, or else an entry of x."""
    if not isinstance(family, Categorical):
        return values_of(family)
    last = family.num_classes - 1
    return Values(
        lambda x: (x >= 0) & (x <= last) & (x == x.round()),
        f"categories, numbered 0 to {last}",
        "number them from 0, and give Categorical as many as there are",
    )
