"""The place of `vae_lightning.executors` in version 0.1 -> the same classes, with a warning."""

from vae_lightning.executors import Executor, Item, Local, Lost, RayCluster, Result, chosen_executor
from vae_lightning.messages import moved

__all__ = ["Executor", "Item", "Local", "Lost", "RayCluster", "Result", "chosen_executor"]

moved("vae_lightning.studies.executors", "vae_lightning.executors")
