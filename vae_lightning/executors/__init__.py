"""Executors: a function and its items -> the results, computed here, in processes beside, or on a Ray cluster."""

from vae_lightning.executors.base import Executor, Item, Lost, Result
from vae_lightning.executors.chosen import chosen_executor
from vae_lightning.executors.forked import Forked
from vae_lightning.executors.local import Local
from vae_lightning.executors.ray import RayCluster

__all__ = ["Executor", "Forked", "Item", "Local", "Lost", "RayCluster", "Result", "chosen_executor"]
