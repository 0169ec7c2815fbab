"""Training: a command line -> a run with this project's loggers, checkpoints, records and exact resume."""

from vae_lightning.training.cli import TrainingCLI

__all__ = ["TrainingCLI"]
