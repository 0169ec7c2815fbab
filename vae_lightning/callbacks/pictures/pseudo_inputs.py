"""PseudoInputs: a picture of what a VampPrior is made of."""

from __future__ import annotations

import lightning.pytorch as pl

from vae_lightning.callbacks.pictures.base import Picture
from vae_lightning.callbacks.pictures.strips import Strips
from vae_lightning.callbacks.requirements import require_latent_variable_model
from vae_lightning.latent_variable import Draw, LatentVariableModel
from vae_lightning.priors import VampPrior


class PseudoInputs(Picture):
    """`pseudo_inputs`: the first n pseudo-inputs u_k of the model's VampPrior, p(z) = 1/K sum_k q(z | u_k).

    Source: Tomczak and Welling, VAE with a VampPrior (2018), Eq. 9 and Fig. 3. Costs nothing but the drawing.
    TypeError at setup for a model that has no VampPrior.

    Args:
        n: how many.
        every_n_epochs: in `fit`, draw at the validation of every n-th epoch; `validate` and `test` always.
    """

    tag = "pseudo_inputs"

    def __init__(self, n: int = 64, every_n_epochs: int = 50) -> None:
        super().__init__(n, every_n_epochs)

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Say before the first epoch, too, that the model has no pseudo-inputs."""
        super().setup(trainer, pl_module, stage)
        vamp_prior(require_latent_variable_model(self, pl_module))

    def strips(self, model: LatentVariableModel, first: Draw) -> Strips:
        """One strip per pseudo-input."""
        u = vamp_prior(model).pseudo_inputs
        shown = u[: self.n].split(1)
        return Strips(f"Pseudo-inputs of the VampPrior, {len(shown)} of {len(u)}", shown)


def vamp_prior(model: LatentVariableModel) -> VampPrior:
    """The model's prior, or the first within it, that is a VampPrior; TypeError if there is none."""
    for part in model.prior.modules():
        if isinstance(part, VampPrior):
            return part
    raise TypeError(f"PseudoInputs shows those of a VampPrior; the model's prior is {type(model.prior).__name__}")
