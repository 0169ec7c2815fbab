"""Support: data and a family -> one clear line unless the family can have made them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from itertools import accumulate

import numpy as np
import torch
from jaxtyping import Bool
from torch import Tensor

from vae_lightning.counts import Counts
from vae_lightning.families.base import ExponentialFamily
from vae_lightning.families.multinomial import Multinomial
from vae_lightning.families.partly_observed import PartlyObserved
from vae_lightning.families.product import Product
from vae_lightning.families.values import BITS, INTENSITIES, Values, in_column, values_of


def check_support(family: ExponentialFamily, parts: Iterable[Tensor | Counts], name: str = "data") -> None:
    """ValueError unless the parts (B, *E) are observations of the family: of its shape, each value one it can take.

    What is wrong is told with how many rows have it, and where: for that the parts are gone through once more.
    """
    claims = _claims(family)
    if all(_fits(family, claims, x) for x in parts):
        return
    for claim in claims:
        for asked in (claim.finite, claim):
            if any(not asked.right(x).all() for x in parts):
                raise ValueError(_told(asked, parts, name))


@dataclass(frozen=True)
class _Claim:
    """What a family asks of x, or of some columns of x, the first of which has this number."""

    family: ExponentialFamily
    values: Values
    columns: slice | None = None

    @property
    def finite(self) -> _Claim:
        """That it be finite, before all else."""
        return replace(self, values=self.values.finite)

    def entries(self, x: Tensor | Counts) -> Tensor:
        return x.values if isinstance(x, Counts) else x if self.columns is None else x[..., self.columns]

    def right(self, x: Tensor | Counts) -> Tensor:
        return self.values.right(self.entries(x))

    def __str__(self) -> str:
        if self.columns is None:
            return repr(self.family)
        first, last = self.columns.start, self.columns.stop - 1
        return (
            f"{self.family!r}, of column {first},"
            if first == last
            else f"{self.family!r}, of columns {first} to {last},"
        )


def _claims(family: ExponentialFamily) -> list[_Claim]:
    if isinstance(family, PartlyObserved):
        inner = _claims(family.family)
        whole = [claim if claim.columns else replace(claim, family=family) for claim in inner]
        return [replace(claim, values=claim.values.or_missing()) for claim in whole]
    if isinstance(family, Product):
        ends = list(accumulate(family.widths))
        columns = [slice(end - width, end) for end, width in zip(ends, family.widths, strict=True)]
        return [_Claim(part, in_column(part), where) for part, where in zip(family.columns, columns, strict=True)]
    return [_Claim(family, values_of(family))]


def _fits(family: ExponentialFamily, claims: Iterable[_Claim], x: Tensor | Counts) -> bool:
    if isinstance(x, Tensor) and x.shape[1:] != family.event_shape:
        shape = tuple(x.shape[1:])
        raise ValueError(f"{family!r} needs observations of shape {tuple(family.event_shape)}, got {shape}")
    fits = all(bool(claim.right(x).all()) for claim in claims)
    if isinstance(x, Counts) and fits:
        _check_words(family, x)
    return fits


def _check_words(family: ExponentialFamily, x: Counts) -> None:
    largest = int(x.indices.max()) if len(x.indices) else 0
    if largest >= family.num_parameters:
        raise ValueError(f"word {largest} does not fit {family!r}: give the family the size of the vocabulary")
    if not isinstance(family, Multinomial):
        raise ValueError(f"{family!r} does not take bags of words: use Multinomial({family.num_parameters})")


def _told(claim: _Claim, parts: Iterable[Tensor | Counts], name: str) -> str:
    rows, total, first, least, most = 0, 0, None, torch.inf, -torch.inf
    for x in parts:
        wrong = ~claim.right(x)
        if wrong.any():
            found, place = _rows_and_place(x, wrong)
            bad = claim.entries(x)[wrong]
            first = first or (total + place[0], place[1:], float(bad[0]))
            rows, least, most = rows + int(found.sum()), min(least, float(bad.min())), max(most, float(bad.max()))
        total += len(x)
    assert first is not None, "called where something is wrong"
    row, place, value = first
    if claim.columns is not None:
        place = (claim.columns.start + place[0],)
    way_out = INTENSITIES if claim.values is BITS and 0 < least <= most < 1 else claim.values.way_out
    where = f"{rows:,} of {total:,} rows, the first row {row} at {place}"
    return f"{claim} takes {claim.values.needs}, got {value:.4g} among the {name} ({where}): {way_out}"


def _rows_and_place(x: Tensor | Counts, wrong: Bool[Tensor, "..."]) -> tuple[Bool[Tensor, " B"], tuple[int, ...]]:
    """Which rows have a wrong entry, and where the first one is: (row, *place)."""
    first = int(wrong.flatten().int().argmax())
    if isinstance(x, Counts):
        found = torch.zeros(len(x), dtype=torch.bool, device=wrong.device).index_fill(0, x.rows[wrong], True)
        return found, (int(x.rows[first]), int(x.indices[first]))
    return wrong.flatten(1).any(1), tuple(int(i) for i in np.unravel_index(first, tuple(wrong.shape)))
