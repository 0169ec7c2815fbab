"""Priors and objectives on digits, by likelihood and by the terms of ELBO surgery."""

from vae_lightning.studies.priors.study import PriorsStudy

__all__ = ["PriorsStudy"]
