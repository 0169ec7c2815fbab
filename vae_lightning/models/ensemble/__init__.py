"""Ensembles: many models of one kind -> one LightningModule that trains them in step."""

from vae_lightning.models.ensemble.ensemble import Ensemble

__all__ = ["Ensemble"]
