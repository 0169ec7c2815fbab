"""How the losses of an ensemble are computed in training."""

from vae_lightning.models.recording.automatic import Automatic
from vae_lightning.models.recording.execution import Compiled, Eager, Execution, Recorded, Replayed

__all__ = ["Automatic", "Compiled", "Eager", "Execution", "Recorded", "Replayed"]
