"""Processes: distributions of x that are known exactly, to draw data from and to judge models by."""

from vae_lightning.data.processes.base import Process
from vae_lightning.data.processes.mixture import GaussianMixture

__all__ = ["GaussianMixture", "Process"]
