"""Support: data and a family -> one clear line unless the family can have made them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool
from torch import Tensor
from torch.distributions import constraints

from vae_lightning.counts import Counts
from vae_lightning.families.base import ExponentialFamily
from vae_lightning.families.bernoulli import Bernoulli
from vae_lightning.families.enumeration import support
from vae_lightning.families.multinomial import Multinomial


@dataclass(frozen=True)
class Values:
    """What entries may be: as a question, which NaN and infinity never pass, in words, and what to do with others."""

    right: Callable[[Tensor], Tensor]
    needs: str
    way_out: str


REALS = Values(torch.isfinite, "finite numbers", "leave such observations out, or fill in what is missing")
KINDS = {
    constraints.boolean: Values(
        lambda x: (x == 0) | (x == 1),
        "zeros and ones",
        "binarise them (see the data module's binarisation), or use Normal for reals, Multinomial for counts",
    ),
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
_INTENSITIES = (
    "binarise them (see the data module's binarisation), use Normal for reals, or ask for intensities=True, by which "
    "the log-probability is a cross-entropy and no figure a likelihood"
)


def check_support(family: ExponentialFamily, parts: Iterable[Tensor | Counts], name: str = "data") -> None:
    """ValueError unless the parts (B, *E) are observations of the family: of its shape, each value one it can take.

    What is wrong is told with how many rows have it, and where: for that the parts are gone through once more.
    """
    values = _values(family)
    if all(_fits(family, values, x) for x in parts):
        return
    finite = all(bool(_entries(x).isfinite().all()) for x in parts)
    raise ValueError(_told(family, values if finite else REALS, parts, name))


def _values(family: ExponentialFamily) -> Values:
    intensities = isinstance(family, Bernoulli) and family.intensities
    return KINDS.get(constraints.unit_interval if intensities else support(family), REALS)


def _fits(family: ExponentialFamily, values: Values, x: Tensor | Counts) -> bool:
    if isinstance(x, Tensor) and x.shape[1:] != family.event_shape:
        shape = tuple(x.shape[1:])
        raise ValueError(f"{family!r} needs observations of shape {tuple(family.event_shape)}, got {shape}")
    fits = bool(values.right(_entries(x)).all())
    if isinstance(x, Counts) and fits:
        _check_words(family, x)
    return fits


def _check_words(family: ExponentialFamily, x: Counts) -> None:
    largest = int(x.indices.max()) if len(x.indices) else 0
    if largest >= family.num_parameters:
        raise ValueError(f"word {largest} does not fit {family!r}: give the family the size of the vocabulary")
    if not isinstance(family, Multinomial):
        raise ValueError(f"{family!r} does not take bags of words: use Multinomial({family.num_parameters})")


def _told(family: ExponentialFamily, values: Values, parts: Iterable[Tensor | Counts], name: str) -> str:
    rows, total, first, least, most = 0, 0, None, torch.inf, -torch.inf
    for x in parts:
        wrong = ~values.right(_entries(x))
        if wrong.any():
            found, place = _rows_and_place(x, wrong)
            bad = _entries(x)[wrong]
            first = first or (total + place[0], place[1:], float(bad[0]))
            rows, least, most = rows + int(found.sum()), min(least, float(bad.min())), max(most, float(bad.max()))
        total += len(x)
    assert first is not None, "called where something is wrong"
    row, place, value = first
    way_out = _INTENSITIES if values is KINDS[constraints.boolean] and 0 < least <= most < 1 else values.way_out
    where = f"{rows:,} of {total:,} rows, the first row {row} at {place}"
    return f"{family!r} takes {values.needs}, got {value:.4g} among the {name} ({where}): {way_out}"


def _rows_and_place(x: Tensor | Counts, wrong: Bool[Tensor, "..."]) -> tuple[Bool[Tensor, " B"], tuple[int, ...]]:
    """Which rows have a wrong entry, and where the first one is: (row, *place)."""
    first = int(wrong.flatten().int().argmax())
    if isinstance(x, Counts):
        found = torch.zeros(len(x), dtype=torch.bool, device=wrong.device).index_fill(0, x.rows[wrong], True)
        return found, (int(x.rows[first]), int(x.indices[first]))
    return wrong.flatten(1).any(1), tuple(int(i) for i in np.unravel_index(first, tuple(wrong.shape)))


def _entries(x: Tensor | Counts) -> Tensor:
    return x.values if isinstance(x, Counts) else x
