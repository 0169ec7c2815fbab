"""Support: data and a family -> one clear line unless the family can have made them."""

from __future__ import annotations

from torch import Tensor
from torch.distributions import constraints

from vae_lightning.counts import Counts
from vae_lightning.families.base import ExponentialFamily
from vae_lightning.families.enumeration import support
from vae_lightning.families.multinomial import Multinomial


def check_support(family: ExponentialFamily, x: Tensor | Counts) -> None:
    """ValueError unless x (B, *E) are observations of the family: of its shape, each value one that it can take."""
    if isinstance(x, Counts):
        _check_values(family, x.values)
        largest = int(x.indices.max()) if len(x.indices) else 0
        if largest >= family.num_parameters:
            raise ValueError(f"word {largest} does not fit {family!r}: give the family the size of the vocabulary")
        if not isinstance(family, Multinomial):
            raise ValueError(f"{family!r} does not take bags of words: use Multinomial({family.num_parameters})")
        return
    if x.shape[1:] != family.event_shape:
        raise ValueError(
            f"{family!r} needs observations of shape {tuple(family.event_shape)}, got {tuple(x.shape[1:])}"
        )
    _check_values(family, x)


def _check_values(family: ExponentialFamily, x: Tensor) -> None:
    kind = support(family)
    if kind is constraints.one_hot:
        right = ((x == 0) | (x == 1)) & (x.sum(-1, keepdim=True) == 1)
        needs, way_out = "one-hot vectors", "use torch.nn.functional.one_hot"
    elif kind is constraints.boolean:
        right, needs = (x == 0) | (x == 1), "zeros and ones"
        way_out = "binarise them (see the data module's binarisation), or use Normal for reals, Multinomial for counts"
    elif kind is constraints.nonnegative_integer:
        right, needs = (x >= 0) & (x == x.round()), "counts: 0, 1, 2, ..."
        way_out = "use Normal for reals"
    else:
        right, needs, way_out = x.isfinite(), "finite numbers", "leave out observations with missing values"
    if not right.all():
        wrong = x[~right][0].item()
        raise ValueError(f"{family!r} takes {needs}, got {wrong:.4g} among the data: {way_out}")
