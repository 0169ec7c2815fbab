"""LightningModules."""

from vae_lightning.models.classifier import Attributes, Classifier, Rotations, Task
from vae_lightning.models.ensemble import Ensemble
from vae_lightning.models.gaussian import GaussianVAE
from vae_lightning.models.hashing import HashingVAE
from vae_lightning.models.hierarchical import HVAE
from vae_lightning.models.libi import LiBI
from vae_lightning.models.mrf import MRFVAE
from vae_lightning.models.rbm import RBM
from vae_lightning.models.recording import Automatic, Compiled, Eager, Replayed
from vae_lightning.models.schedules import EveryStep
from vae_lightning.models.vae import VAE

__all__ = [
    "HVAE",
    "MRFVAE",
    "RBM",
    "VAE",
    "Attributes",
    "Automatic",
    "Classifier",
    "Compiled",
    "Eager",
    "Ensemble",
    "EveryStep",
    "GaussianVAE",
    "HashingVAE",
    "LiBI",
    "Replayed",
    "Rotations",
    "Task",
]
