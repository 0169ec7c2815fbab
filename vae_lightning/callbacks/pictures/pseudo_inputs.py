"""PseudoInputs: a picture of what a VampPrior is made of; PseudoInputSamples: of what is generated from each."""

from __future__ import annotations

import lightning.pytorch as pl
import torch
from jaxtyping import Float
from torch import Size, Tensor

from vae_lightning.callbacks.pictures.base import Picture
from vae_lightning.callbacks.pictures.strips import Strips
from vae_lightning.callbacks.requirements import require_latent_variable_model
from vae_lightning.distributions import component
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


class PseudoInputSamples(Picture):
    """`pseudo_input_samples`: pseudo-inputs u_k of the model's VampPrior, each beside images generated from it.

    z is drawn from the k-th component of the prior, q(z | u_k), of two levels z2 from it and z1 from p(z1 | z2), and
    x ~ p(x | z) is a draw with all its noise, not a mean. Draws and codes come from the same noise every time.
    Source: Tomczak and Welling, VAE with a VampPrior (2018), Fig. 3, top. Costs n * each draws of x.
    TypeError at setup for a model that has no VampPrior.

    Args:
        n: how many pseudo-inputs, the first ones.
        each: how many draws of x beside each.
        every_n_epochs: in `fit`, draw at the validation of every n-th epoch; `validate` and `test` always.
    """

    tag = "pseudo_input_samples"

    def __init__(self, n: int = 8, each: int = 9, every_n_epochs: int = 50) -> None:
        super().__init__(n, every_n_epochs)
        if each < 1:
            raise ValueError(f"{type(self).__name__} needs each >= 1, got {each}")
        self.each = each

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Say before the first epoch, too, that the model has no pseudo-inputs."""
        super().setup(trainer, pl_module, stage)
        vamp_prior(require_latent_variable_model(self, pl_module))

    def strips(self, model: LatentVariableModel, first: Draw) -> Strips:
        """One strip per pseudo-input: it, and its images."""
        u = vamp_prior(model).pseudo_inputs[: self.n]
        rows = [torch.cat((one[None], generated_from(model, k, self.each))) for k, one in enumerate(u)]
        return Strips("Pseudo-inputs of the VampPrior, and x drawn from each", rows)


def generated_from(model: LatentVariableModel, k: int, n: int) -> Float[Tensor, "n *observation"]:
    """x ~ p(x | z) for n codes of the k-th component of the model's prior, such as of a pseudo-input."""
    return model.decoder(component(model.prior(), k).sample(Size([n]))).sample()


def vamp_prior(model: LatentVariableModel) -> VampPrior:
    """The model's prior, or the first within it, that is a VampPrior; TypeError if there is none."""
    for part in model.prior.modules():
        if isinstance(part, VampPrior):
            return part
    raise TypeError(f"PseudoInputs shows those of a VampPrior; the model's prior is {type(model.prior).__name__}")
