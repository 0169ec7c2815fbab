"""Five methods in four worlds: Characterizing and Avoiding Problematic Global Optima of VAEs (2019), Table 1."""

from vae_lightning.studies.libi.methods import METHODS
from vae_lightning.studies.libi.study import LiBIStudy
from vae_lightning.studies.libi.worlds import WORLDS

__all__ = ["METHODS", "WORLDS", "LiBIStudy"]
