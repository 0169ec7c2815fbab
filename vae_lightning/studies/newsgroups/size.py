"""How much the study of Table 2 computes at a scale."""

from __future__ import annotations

from dataclasses import dataclass

from vae_lightning.studies.names import Scale
from vae_lightning.studies.newsgroups.paper import BITS


@dataclass(frozen=True)
class NewsgroupsSize:
    """How much is computed at a scale."""

    epochs: int  # by one pair of samples of each document
    many_epochs: int = 0  # thereafter, by ten
    patience: int | None = None  # epochs without a better validation that end a training on counts
    rate: float | None = None  # Adam's, of all VAEs; by default what validation chose for each
    seeds: int = 1
    linear_seeds: int = 1  # of linear decoders
    samples: int = 4  # of z, in evaluation
    rbm_epochs: int = 10
    validations: int = 10  # of an RBM
    chains: int = 100  # of AIS, for RBMs of more bits than are summed over
    ais_steps: int = 1_000
    models: str = "all"  # unless others are named
    bits: tuple[int, ...] = BITS
    retrieved: int = 100  # documents, for the precision


SIZES: dict[Scale, NewsgroupsSize] = {
    "quick": NewsgroupsSize(12, chains=50, ais_steps=200, validations=3, models="paper"),
    "medium": NewsgroupsSize(80, patience=10, linear_seeds=3, rbm_epochs=40),
    "full": NewsgroupsSize(1000, 500, rate=1e-3, rbm_epochs=80, validations=20, chains=500, ais_steps=3_000),
}
"""Full is Appendix C.2. An epoch of a linear decoder takes one to two seconds of a processor, of a deep one eight."""
