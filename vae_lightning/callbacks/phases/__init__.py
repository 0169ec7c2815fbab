"""Phases: callbacks that change how a model is trained as the steps go by."""

from vae_lightning.callbacks.phases.aggressive import AggressiveInference
from vae_lightning.callbacks.phases.compiled_loss import CompiledLoss
from vae_lightning.callbacks.phases.freeze import Freeze
from vae_lightning.callbacks.phases.momentum import Momentum
from vae_lightning.callbacks.phases.moving_average import ExponentialMovingAverage

__all__ = ["AggressiveInference", "CompiledLoss", "ExponentialMovingAverage", "Freeze", "Momentum"]
