"""Encoders: what a network emits -> posteriors richer than independent Gaussians."""

from vae_lightning.encoders.block import BlockEncoder
from vae_lightning.encoders.flow import FlowEncoder

__all__ = ["BlockEncoder", "FlowEncoder"]
