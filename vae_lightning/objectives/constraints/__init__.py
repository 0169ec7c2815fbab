"""Constraints: what codes have to be like, as a penalty in nats."""

from vae_lightning.objectives.constraints.base import Constraint, Penalty
from vae_lightning.objectives.constraints.information_floor import InformationFloor
from vae_lightning.objectives.constraints.penalties import Covariance, HenzeZirkler, Mean

__all__ = ["Constraint", "Covariance", "HenzeZirkler", "InformationFloor", "Mean", "Penalty"]
