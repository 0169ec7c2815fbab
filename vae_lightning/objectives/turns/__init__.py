"""Turns: objectives that train parts of a model one after another."""

from vae_lightning.objectives.turns.aggressive import Aggressive
from vae_lightning.objectives.turns.alternating import Alternating
from vae_lightning.objectives.turns.first_then import FirstThen
from vae_lightning.objectives.turns.generator_first import GeneratorFirst
from vae_lightning.objectives.turns.segments import Segments

__all__ = ["Aggressive", "Alternating", "FirstThen", "GeneratorFirst", "Segments"]
