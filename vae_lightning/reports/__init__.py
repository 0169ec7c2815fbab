"""Reports: what runs have left -> a page and a model card for somebody else."""

from vae_lightning.reports.command import card, report

__all__ = ["card", "report"]
