"""Objectives: (model, x) -> a quantity to maximise, one value per observation, in nats."""

from vae_lightning.objectives.alternating import Alternating
from vae_lightning.objectives.base import Objective
from vae_lightning.objectives.dreg import DReG
from vae_lightning.objectives.elbo import ELBO, AnalyticELBO
from vae_lightning.objectives.forward_kl import ForwardKL
from vae_lightning.objectives.free_bits import FreeBits
from vae_lightning.objectives.importance import Inflated, Posterior, Proposal
from vae_lightning.objectives.iwae import IWAE
from vae_lightning.objectives.schedules import Schedule, WarmUp

__all__ = [
    "ELBO",
    "IWAE",
    "Alternating",
    "AnalyticELBO",
    "DReG",
    "ForwardKL",
    "FreeBits",
    "Inflated",
    "Objective",
    "Posterior",
    "Proposal",
    "Schedule",
    "WarmUp",
]
