"""Callbacks: anything that needs the trainer or time."""

from vae_lightning.callbacks.active_units import ActiveUnits
from vae_lightning.callbacks.annealed_likelihood import AnnealedLikelihood
from vae_lightning.callbacks.base import Diagnostic, MetricDiagnostic
from vae_lightning.callbacks.collapse_watch import CollapseWatch
from vae_lightning.callbacks.consistency import Consistency
from vae_lightning.callbacks.elbo_surgery import ELBOSurgery
from vae_lightning.callbacks.gradient_variance import GradientVariance
from vae_lightning.callbacks.hashing.bit_use import BitUse
from vae_lightning.callbacks.hashing.hamming import HammingPrecision
from vae_lightning.callbacks.hashing.logits_by_length import LogitsByLength
from vae_lightning.callbacks.hashing.nearest_words import NearestWords
from vae_lightning.callbacks.henze_zirkler import HenzeZirkler
from vae_lightning.callbacks.images.channels_last import ChannelsLast
from vae_lightning.callbacks.images.fid import FrechetInceptionDistance
from vae_lightning.callbacks.images.references import CheckpointReference, DataReference
from vae_lightning.callbacks.images.samplers import ImageMeans, ImageSamples
from vae_lightning.callbacks.inference_gaps import InferenceGaps
from vae_lightning.callbacks.log_likelihood import LogLikelihood
from vae_lightning.callbacks.phases.aggressive import AggressiveInference
from vae_lightning.callbacks.phases.compiled_loss import CompiledLoss
from vae_lightning.callbacks.phases.freeze import Freeze
from vae_lightning.callbacks.phases.momentum import Momentum
from vae_lightning.callbacks.phases.moving_average import ExponentialMovingAverage
from vae_lightning.callbacks.pictures import (
    Chains,
    Interpolations,
    LatentScatter,
    PseudoInputs,
    PseudoInputSamples,
    Reconstructions,
    Samples,
    Traversals,
)
from vae_lightning.callbacks.resampled_posterior import ResampledPosterior
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
from vae_lightning.callbacks.smooth_knn import SmoothKNN

__all__ = [
    "AboutFile",
    "ActiveUnits",
    "AggressiveInference",
    "AnnealedLikelihood",
    "AtomicCheckpointIO",
    "Bar",
    "BestCheckpoint",
    "BitUse",
    "Chains",
    "ChannelsLast",
    "CheckpointReference",
    "CodeWriter",
    "CollapseWatch",
    "CompiledLoss",
    "Consistency",
    "DataReference",
    "Diagnostic",
    "ELBOSurgery",
    "EpochLines",
    "ExponentialMovingAverage",
    "FinalFigures",
    "FrechetInceptionDistance",
    "Freeze",
    "GradientVariance",
    "HammingPrecision",
    "HenzeZirkler",
    "ImageMeans",
    "ImageSamples",
    "InferenceGaps",
    "Interpolations",
    "LastCheckpoint",
    "LatentScatter",
    "LogLikelihood",
    "LogitsByLength",
    "MemberCheckpoints",
    "MetricDiagnostic",
    "MetricsFile",
    "Momentum",
    "NearestWords",
    "PseudoInputSamples",
    "PseudoInputs",
    "Reconstructions",
    "ResampledPosterior",
    "Samples",
    "SmoothKNN",
    "Traversals",
]
