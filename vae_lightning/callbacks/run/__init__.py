"""A run's files: checkpoints that are whole, the last figures, the codes."""

from vae_lightning.callbacks.run.about import AboutFile
from vae_lightning.callbacks.run.bar import Bar
from vae_lightning.callbacks.run.best_checkpoint import BestCheckpoint
from vae_lightning.callbacks.run.checkpoint_io import AtomicCheckpointIO
from vae_lightning.callbacks.run.code_writer import CodeWriter
from vae_lightning.callbacks.run.epoch_lines import EpochLines
from vae_lightning.callbacks.run.final_figures import FinalFigures
from vae_lightning.callbacks.run.last_checkpoint import LastCheckpoint
from vae_lightning.callbacks.run.member_checkpoints import MemberCheckpoints
from vae_lightning.callbacks.run.records import MetricsFile

__all__ = [
    "AboutFile",
    "AtomicCheckpointIO",
    "Bar",
    "BestCheckpoint",
    "CodeWriter",
    "EpochLines",
    "FinalFigures",
    "LastCheckpoint",
    "MemberCheckpoints",
    "MetricsFile",
]
