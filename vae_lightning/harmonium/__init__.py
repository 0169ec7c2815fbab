"""Harmoniums: two families and a coupling -> p(v, h), its negative phases, its log Z, and their gradient."""

from vae_lightning.harmonium.harmonium import Harmonium
from vae_lightning.harmonium.negative_phase import (
    ContrastiveDivergence,
    EnumeratedLikelihood,
    NegativePhase,
    PersistentContrastiveDivergence,
)
from vae_lightning.harmonium.sparsity import Sparsity

__all__ = [
    "ContrastiveDivergence",
    "EnumeratedLikelihood",
    "Harmonium",
    "NegativePhase",
    "PersistentContrastiveDivergence",
    "Sparsity",
]
