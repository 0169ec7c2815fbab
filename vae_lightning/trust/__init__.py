"""Trust: what others may have sent -> data that build nothing but models, or one line that says what is wrong."""

from vae_lightning.trust.checkpoint import read_checkpoint
from vae_lightning.trust.classes import VARIABLE, Trust

__all__ = ["VARIABLE", "Trust", "read_checkpoint"]
