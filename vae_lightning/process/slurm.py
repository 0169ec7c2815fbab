"""SLURM: a run that its signal has ended -> its job requeued, and what there is to say of it."""

from __future__ import annotations

import os
import subprocess

import lightning.pytorch as pl
from lightning.fabric.plugins.environments.slurm import SLURMEnvironment

from vae_lightning.signals import Interrupted


def requeue(trainer: pl.Trainer, end: Interrupted) -> str | None:
    """Have SLURM start the job again, if its signal to do so has ended the run, and say so; None if there is nothing.

    The first process asks for it, unless the trainer's SLURMEnvironment has `auto_requeue` switched off.
    """
    environment = trainer._accelerator_connector.cluster_environment
    if not isinstance(environment, SLURMEnvironment) or not environment.auto_requeue or not trainer.is_global_zero:
        return None
    if environment.requeue_signal is None or end.code != 128 + environment.requeue_signal:
        return None
    command = ["scontrol", "requeue", _job()]
    try:
        subprocess.run(command, check=True, capture_output=True, text=True)
    except (OSError, subprocess.CalledProcessError) as error:
        why = error.stderr.strip() if isinstance(error, subprocess.CalledProcessError) else str(error)
        return f"`{' '.join(command)}` failed, do it by hand: {why}"
    return f"requeued: {' '.join(command)}"


def _job() -> str:
    """The job's number; of an array, that of the task in it."""
    array = os.environ.get("SLURM_ARRAY_JOB_ID")
    return f"{array}_{os.environ['SLURM_ARRAY_TASK_ID']}" if array else os.environ["SLURM_JOB_ID"]
