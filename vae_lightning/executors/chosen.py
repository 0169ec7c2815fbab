"""chosen_executor: the environment -> the Ray cluster that it names, or what is here."""

from __future__ import annotations

import os

from vae_lightning.executors.base import Executor
from vae_lightning.executors.local import Local
from vae_lightning.executors.ray import RayCluster


def chosen_executor(here: Executor | None = None, at_once: int | None = None) -> Executor:
    """The Ray cluster that RAY_ADDRESS names, if it is set, else the executor `here`, by default this process.

    `at_once` is how many items the cluster is given before it has results; by default all.
    """
    return RayCluster(at_once) if os.environ.get("RAY_ADDRESS") else here or Local()
