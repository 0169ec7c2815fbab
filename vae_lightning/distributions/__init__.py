"""Distributions: q -> what kind of distribution it is: its name, parameters, samples, natural form and values."""

from vae_lightning.distributions.enumeration import (
    HELD_BITS,
    PAIRED_BITS,
    SUMMED_BITS,
    States,
    enumerate_codes,
    states,
)
from vae_lightning.distributions.kinds import (
    Unnormalised,
    as_bits,
    as_normal,
    base,
    factors,
    family_name,
    first_level,
    is_bag_of_words,
    mean_code,
)
from vae_lightning.distributions.masked import Masked, observed_part
from vae_lightning.distributions.natural_form import natural_form
from vae_lightning.distributions.parameters import displaced, held, parameters, rebuilt
from vae_lightning.distributions.sampling import rsample, sample

__all__ = [
    "HELD_BITS",
    "PAIRED_BITS",
    "SUMMED_BITS",
    "Masked",
    "States",
    "Unnormalised",
    "as_bits",
    "as_normal",
    "base",
    "displaced",
    "enumerate_codes",
    "factors",
    "family_name",
    "first_level",
    "held",
    "is_bag_of_words",
    "mean_code",
    "natural_form",
    "observed_part",
    "parameters",
    "rebuilt",
    "rsample",
    "sample",
    "states",
]
