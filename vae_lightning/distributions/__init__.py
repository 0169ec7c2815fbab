"""Distributions: q -> what kind of distribution it is: its name, parameters, samples, natural form and values."""

from vae_lightning.distributions.block_gaussian import BlockGaussian
from vae_lightning.distributions.enumeration import (
    HELD_BITS,
    PAIRED_BITS,
    SUMMED_BITS,
    States,
    enumerate_codes,
    states,
)
from vae_lightning.distributions.flowed import Flowed
from vae_lightning.distributions.kinds import (
    Unnormalised,
    as_bits,
    as_normal,
    base,
    checked_component,
    component,
    drawn_in_order,
    factors,
    family_name,
    first_level,
    is_bag_of_words,
    mean_code,
)
from vae_lightning.distributions.masked import Masked, observed_part
from vae_lightning.distributions.natural_form import natural_form, statistics
from vae_lightning.distributions.packing import packed, unpacked
from vae_lightning.distributions.parameters import displaced, held, parameters, rebuilt
from vae_lightning.distributions.sampling import rsample, sample
from vae_lightning.distributions.widened import widened

__all__ = [
    "HELD_BITS",
    "PAIRED_BITS",
    "SUMMED_BITS",
    "BlockGaussian",
    "Flowed",
    "Masked",
    "States",
    "Unnormalised",
    "as_bits",
    "as_normal",
    "base",
    "checked_component",
    "component",
    "displaced",
    "drawn_in_order",
    "enumerate_codes",
    "factors",
    "family_name",
    "first_level",
    "held",
    "is_bag_of_words",
    "mean_code",
    "natural_form",
    "observed_part",
    "packed",
    "parameters",
    "rebuilt",
    "rsample",
    "sample",
    "states",
    "statistics",
    "unpacked",
    "widened",
]
