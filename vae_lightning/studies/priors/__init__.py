"""Priors and objectives on digits, as in the slides."""

from vae_lightning.studies.priors.study import PriorsStudy

__all__ = ["PriorsStudy"]
