"""Exports: a run's model -> a file for those who only use it: a checkpoint or programs."""

from vae_lightning.exports.command import export

__all__ = ["export"]
