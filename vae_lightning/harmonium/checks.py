"""Checks: the two families of a harmonium -> ValueError unless they make one, or one that can be learned."""

from __future__ import annotations

from vae_lightning.families import ExponentialFamily
from vae_lightning.families.correlated.joint_normal import normalises


def check_families(visible: ExponentialFamily, hidden: ExponentialFamily) -> None:
    """ValueError unless the product of the families normalises, whatever W."""
    if not normalises(visible, hidden):
        raise ValueError(
            f"visible {visible} with hidden {hidden} does not normalise for every W: make one side bounded, as in "
            f"Bernoulli({tuple(hidden.event_shape)})"
        )
    for family in (visible, hidden):
        if family.takes_missing:
            raise ValueError(
                f"a harmonium is of complete rows, and impute fills in others: give the family inside of {family!r}"
            )
        if not family.has_log_partition:
            raise ValueError(f"{family} has no log-partition: use BernoulliMRF, with a group of at most 16 bits")
    if hidden.wants_total:
        raise ValueError("a hidden Multinomial has to know its total: use Multinomial.given(total)")


def check_learnable(hidden: ExponentialFamily) -> None:
    """ValueError for a hidden family by which different parameters are the same model."""
    if hidden.coupled != slice(0, hidden.num_parameters):
        raise ValueError(
            f"hidden {hidden} has a free variance, which says the same as the scale of W: fix it, as in "
            f"Normal({tuple(hidden.event_shape)}, scale=1.0)"
        )
