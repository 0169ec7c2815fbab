"""Product: families side by side -> rows of a table, whose columns are reals, bits, counts and categories."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import accumulate
from typing import Any

import torch
import torch.distributions as td
from jaxtyping import Float
from torch import Size, Tensor

from vae_lightning.construction.arguments import check_kinds
from vae_lightning.families.base import ExponentialFamily
from vae_lightning.families.columns import Columns
from vae_lightning.families.partly_observed import PartlyObserved


class Product(ExponentialFamily):
    """Independent variables of several families in one row x, (*B, D): log p(x) is the sum over its columns.

    The columns of each family follow those of the one before, and so do the parameters: eta = (eta_1, eta_2, ...).
    `Categorical(k)` takes one column, which holds the number of the category, 0 to k - 1, and `Categorical(k, n)` takes
    n; every other family takes as many columns as its x has entries. An encoder sees categories one-hot and counts as
    log(1 + x). The distribution's mean of a category is that of its number; what can be read is its `mode`.

    Args:
        columns: the families, in the order of the columns.

    ValueError for no family, TypeError for one whose variables depend on each other.

    Examples:
        >>> import torch
        >>> from vae_lightning.families import Bernoulli, Categorical, Normal, Poisson, Product
        >>> table = Product([Normal(2, scale=1.0), Bernoulli(1), Poisson(1), Categorical(4)])
        >>> p = table.distribution(torch.zeros(table.num_parameters))
        >>> x = torch.tensor([0.0, 0.0, 1.0, 0.0, 3.0])  # two reals, a bit, a count, the last of four categories
        >>> round(p.log_prob(x).item(), 4)  # -log 2 pi - log 2 - 1 - log 4
        -4.9173
        >>> table.shown(x)
        tensor([0., 0., 1., 0., 0., 0., 0., 1.])
    """

    shows_itself = False

    def __init__(self, columns: Sequence[ExponentialFamily]) -> None:
        check_kinds(Product, locals())
        if not columns:
            raise ValueError("Product puts families side by side, such as [Normal(3), Bernoulli(2)]; got none")
        if any(isinstance(family, PartlyObserved) for family in columns):
            raise ValueError("PartlyObserved goes around the Product, not into it: PartlyObserved(Product([...]))")
        self.columns = list(columns)
        self.widths = [family.num_columns for family in columns]
        self.sizes = [family.num_parameters for family in columns]
        self.event_shape, self.num_parameters = Size([sum(self.widths)]), sum(self.sizes)
        self.distribution(self.constrain(torch.zeros(self.num_parameters)))

    @property
    def shown_shape(self) -> Size:
        """One axis, of all that the families show."""
        return Size([sum(family.shown_shape.numel() for family in self.columns)])

    def shown(self, x: Float[Tensor, "*B D"]) -> Float[Tensor, "*B shown"]:
        """What each family shows of its columns, flat; zeros for categories that are NaN."""
        parts = zip(self.columns, x.split(self.widths, -1), strict=True)
        return torch.cat([_shown(family, part) for family, part in parts], -1)

    @property
    def log_scales(self) -> tuple[slice, ...]:
        """Those of each family, where its parameters are."""
        starts = [0, *accumulate(self.sizes)]
        each = zip(starts, self.columns, strict=False)
        return tuple(slice(at + part.start, at + part.stop) for at, family in each for part in family.log_scales)

    def sufficient_statistics(self, x: Float[Tensor, "*B D"]) -> Float[Tensor, "*B P"]:
        """(T_1(x_1), T_2(x_2), ...)."""
        return torch.cat([family.sufficient_statistics(part) for family, part in self._events(x)], -1)

    def log_base_measure(self, x: Float[Tensor, "*B D"]) -> Float[Tensor, "*B"]:
        """The sum of log h_i(x_i)."""
        return torch.stack([family.log_base_measure(part) for family, part in self._events(x)]).sum(0)

    def log_partition(self, eta: Float[Tensor, "*B P"]) -> Float[Tensor, "*B"]:
        """The sum of A_i(eta_i)."""
        parts = zip(self.columns, eta.split(self.sizes, -1), strict=True)
        return torch.stack([family.log_partition(part) for family, part in parts]).sum(0)

    def mean_statistics(self, eta: Float[Tensor, "*B P"]) -> Float[Tensor, "*B P"]:
        """(E[T_1], E[T_2], ...)."""
        return self._each(lambda family, part: family.mean_statistics(part), eta)

    @torch.no_grad()
    def sample(self, eta: Float[Tensor, "*B P"]) -> Float[Tensor, "*B D"]:
        """One row for each row of eta."""
        return self._each(lambda family, part: family.in_columns(family.sample(part)), eta)

    def fitted(self, mean: Float[Tensor, "*B P"]) -> Float[Tensor, "*B P"]:
        """What each family fits to its part."""
        return self._each(lambda family, part: family.fitted(part), mean)

    def constrain(self, theta: Float[Tensor, "*B P"]) -> Float[Tensor, "*B P"]:
        """Each family's, of its part."""
        return self._each(lambda family, part: family.constrain(part), theta)

    def unconstrain(self, eta: Float[Tensor, "*B P"]) -> Float[Tensor, "*B P"]:
        """Each family's, of its part."""
        return self._each(lambda family, part: family.unconstrain(part), eta)

    def canonical(self, eta: Float[Tensor, "*B P"]) -> Float[Tensor, "*B P"]:
        """Each family's, of its part."""
        return self._each(lambda family, part: family.canonical(part), eta)

    def pulled_back(self, theta: Float[Tensor, "*B P"], gradient: Float[Tensor, "*B P"]) -> Float[Tensor, "*B P"]:
        """Each family's, of its part."""
        return self._each(lambda family, *parts: family.pulled_back(*parts), theta, gradient)

    def distribution(self, eta: Float[Tensor, "*B P"]) -> td.Independent[Any]:
        """Independent columns."""
        parts = zip(self.columns, eta.split(self.sizes, -1), strict=True)
        members = [(family, family.distribution(part)) for family, part in parts]
        return td.Independent(Columns(members), 1, validate_args=False)

    @property
    def coupled(self) -> slice:
        """All of them; TypeError where a family has statistics that must not be coupled."""
        if any(len(range(family.num_parameters)[family.coupled]) < family.num_parameters for family in self.columns):
            raise TypeError(
                f"a harmonium of a Product needs Normal with a fixed scale, as in Normal(3, 1.0); got {self}"
            )
        return slice(0, self.num_parameters)

    def _each(self, of: Callable[..., Tensor], *values: Float[Tensor, "*B P"]) -> Float[Tensor, "*B N"]:
        parts = zip(self.columns, *(value.split(self.sizes, -1) for value in values), strict=True)
        return torch.cat([of(*part) for part in parts], -1)

    def _events(self, x: Float[Tensor, "*B D"]) -> list[tuple[ExponentialFamily, Tensor]]:
        parts = zip(self.columns, x.split(self.widths, -1), strict=True)
        return [(family, family.of_columns(part)) for family, part in parts]

    def __repr__(self) -> str:
        return f"Product({self.columns!r})"


def _shown(family: ExponentialFamily, columns: Float[Tensor, "*B C"]) -> Float[Tensor, "*B shown"]:
    seen = family.shown(family.of_columns(columns))
    return seen.flatten(seen.ndim - len(family.shown_shape))
