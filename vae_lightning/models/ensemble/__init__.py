"""Ensembles: many models of one kind -> one LightningModule that trains them in step."""

from vae_lightning.models.ensemble.ensemble import Ensemble
from vae_lightning.models.ensemble.resting import NoMemberLeft

__all__ = ["Ensemble", "NoMemberLeft"]
