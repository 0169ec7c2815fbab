"""Gradient estimators: (q, f, aggregate) -> a bound whose gradient is unbiased. They know only torch."""

from vae_lightning.estimators.antithetic import ARM, DisARM
from vae_lightning.estimators.base import GradientEstimator, log_mean_exp, mean
from vae_lightning.estimators.enumerated import Enumerated
from vae_lightning.estimators.reparameterised import Reparameterised
from vae_lightning.estimators.score import LeaveOneOut, Reinforce

__all__ = [
    "ARM",
    "DisARM",
    "Enumerated",
    "GradientEstimator",
    "LeaveOneOut",
    "Reinforce",
    "Reparameterised",
    "log_mean_exp",
    "mean",
]
