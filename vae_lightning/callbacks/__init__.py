"""Callbacks: anything that needs the trainer or time."""

from vae_lightning.callbacks.base import Diagnostic
from vae_lightning.callbacks.bit_use import BitUse
from vae_lightning.callbacks.checkpoint_io import AtomicCheckpointIO
from vae_lightning.callbacks.code_writer import CodeWriter
from vae_lightning.callbacks.freeze import Freeze
from vae_lightning.callbacks.gradient_variance import GradientVariance
from vae_lightning.callbacks.hamming import HammingPrecision
from vae_lightning.callbacks.last_checkpoint import LastCheckpoint
from vae_lightning.callbacks.logits_by_length import LogitsByLength
from vae_lightning.callbacks.nearest_words import NearestWords
from vae_lightning.callbacks.records import FinalFigures, MetricsFile

__all__ = [
    "AtomicCheckpointIO",
    "BitUse",
    "CodeWriter",
    "Diagnostic",
    "FinalFigures",
    "Freeze",
    "GradientVariance",
    "HammingPrecision",
    "LastCheckpoint",
    "LogitsByLength",
    "MetricsFile",
    "NearestWords",
]
