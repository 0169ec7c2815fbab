"""Harmoniums: two families and a coupling -> p(v, h), its negative phases, its log Z, and their gradient."""

from vae_lightning.harmonium.harmonium import Harmonium
from vae_lightning.harmonium.negative_phase import (
    ContrastiveDivergence,
    EnumeratedLikelihood,
    PersistentContrastiveDivergence,
)
from vae_lightning.harmonium.parallel_tempering import ParallelTempering
from vae_lightning.harmonium.phase import NegativePhase
from vae_lightning.harmonium.sparsity import Sparsity
from vae_lightning.harmonium.tempered_transitions import TemperedTransitions

__all__ = [
    "ContrastiveDivergence",
    "EnumeratedLikelihood",
    "Harmonium",
    "NegativePhase",
    "ParallelTempering",
    "PersistentContrastiveDivergence",
    "Sparsity",
    "TemperedTransitions",
]
