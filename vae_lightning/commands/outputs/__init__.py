"""Outputs: answers, some rows at a time -> a file of any format, whole or not there."""

from vae_lightning.commands.outputs.base import Output
from vae_lightning.commands.outputs.pictures import Layout, Pairs, Plain
from vae_lightning.commands.outputs.target import Target

__all__ = ["Layout", "Output", "Pairs", "Plain", "Target"]
