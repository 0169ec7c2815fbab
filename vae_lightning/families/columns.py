"""Columns: distributions of several families -> independent variables side by side, one a column of a table."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.distributions as td
from jaxtyping import Float
from torch import Size, Tensor
from torch.distributions import constraints

from vae_lightning.distributions import Masked, base, family_name
from vae_lightning.families.base import ExponentialFamily

Member = tuple[ExponentialFamily, td.Distribution]


class Columns(td.Distribution):
    """One variable a column, batch shape (*B, D), of members that each take some of the columns, in order.

    TypeError for a member whose variables depend on each other.
    """

    arg_constraints = {}  # noqa: RUF012  (torch's own convention)
    support = constraints.real

    def __init__(self, members: Sequence[Member]) -> None:
        for family, p in members:
            if not isinstance(p, td.Independent):
                raise TypeError(
                    f"columns are independent variables, which those of {family!r} ({family_name(p)}) are not"
                )
        self.members = list(members)
        self.widths = [family.num_columns for family, _ in members]
        super().__init__(Size([*members[0][1].batch_shape, sum(self.widths)]), Size(), validate_args=False)

    @property
    def mean(self) -> Float[Tensor, "*B D"]:
        """E[x]; of a category, of its number."""
        return torch.cat([family.in_columns(p.mean) for family, p in self.members], -1)

    @property
    def mode(self) -> Float[Tensor, "*B D"]:
        """The most probable value; the number of the most probable category."""
        # torch has no mode of a fair coin: either side is
        return torch.cat([family.in_columns(p.mode.nan_to_num(1.0)) for family, p in self.members], -1)

    @property
    def variance(self) -> Float[Tensor, "*B D"]:
        """Var[x]; of a category, of its number."""
        return torch.cat([_variance(family, p) for family, p in self.members], -1)

    @torch.no_grad()
    def sample(self, sample_shape: Size = Size()) -> Float[Tensor, "*S D"]:  # type: ignore[override]  # noqa: B008
        """(*S, *B, D)."""
        return torch.cat([family.in_columns(p.sample(sample_shape)) for family, p in self.members], -1)

    def log_prob(self, x: Float[Tensor, "*S D"]) -> Float[Tensor, "*R D"]:
        """Log p of each column."""
        parts = zip(self.members, x.split(self.widths, -1), strict=True)
        return torch.cat([_log_prob(family, p, part) for (family, p), part in parts], -1)

    def entropy(self) -> Float[Tensor, "*B D"]:
        """Of each column, in nats; NotImplementedError where torch knows none."""
        return torch.cat([_by_column(p, family, _base(p).entropy()) for family, p in self.members], -1)


def category_probabilities(p: td.Distribution) -> list[tuple[slice, Float[Tensor, "..."]]]:
    """Of each member of `Columns` that is categories, its columns and its probabilities, (*B, C, k)."""
    variables = base(p)
    variables = variables.variables if isinstance(variables, Masked) else variables
    if not isinstance(variables, Columns):
        return []
    found, start = [], 0
    for (_, q), width in zip(variables.members, variables.widths, strict=True):
        if isinstance(choice := _base(q), td.OneHotCategorical):
            shape = (*q.batch_shape, width, choice.event_shape[-1])
            found.append((slice(start, start + width), choice.probs.reshape(shape)))
        start += width
    return found


@td.register_kl(Columns, Columns)  # type: ignore[untyped-decorator]
def _kl(p: Columns, q: Columns) -> Float[Tensor, "*B D"]:
    pairs = zip(p.members, q.members, strict=True)
    return torch.cat([_by_column(p, family, td.kl_divergence(_base(p), _base(q))) for (family, p), (_, q) in pairs], -1)


def _base(p: td.Distribution) -> td.Distribution:
    assert isinstance(p, td.Independent), "checked where columns are made"
    return p.base_dist


def _log_prob(family: ExponentialFamily, p: td.Distribution, columns: Tensor) -> Tensor:
    return _by_column(p, family, _base(p).log_prob(family.of_columns(columns)))


def _by_column(p: td.Distribution, family: ExponentialFamily, values: Tensor) -> Float[Tensor, "*S C"]:
    """Values (*S, *variables) of each variable, (*S, C)."""
    axes = len(_base(p).batch_shape) - len(p.batch_shape)
    return values.reshape(*values.shape[: values.ndim - axes], family.num_columns)


def _variance(family: ExponentialFamily, p: td.Distribution) -> Float[Tensor, "*B C"]:
    if not isinstance(variables := _base(p), td.OneHotCategorical):
        return family.in_columns(p.variance)
    numbers = torch.arange(variables.event_shape[-1], device=p.mean.device, dtype=p.mean.dtype)
    mean, square = variables.probs @ numbers, variables.probs @ numbers.square()
    return _by_column(p, family, square - mean.square())
