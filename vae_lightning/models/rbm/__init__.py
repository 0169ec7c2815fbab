"""RBMs: harmoniums that are trained by contrastive divergence."""

from vae_lightning.models.rbm.evaluated import Evaluated
from vae_lightning.models.rbm.rbm import RBM, sgd

__all__ = ["RBM", "Evaluated", "sgd"]
