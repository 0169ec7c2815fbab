"""Objectives: (model, x) -> a quantity to maximise, one value per observation, in nats."""

from vae_lightning.objectives.base import Objective
from vae_lightning.objectives.elbo import ELBO, AnalyticELBO
from vae_lightning.objectives.iwae import IWAE

__all__ = ["ELBO", "IWAE", "AnalyticELBO", "Objective"]
