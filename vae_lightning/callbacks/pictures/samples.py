"""Samples: a picture of what the model generates."""

from __future__ import annotations

from torch import Size

from vae_lightning.callbacks.pictures.base import Picture, decode
from vae_lightning.callbacks.pictures.strips import Strips
from vae_lightning.latent_variable import Draw, LatentVariableModel


class Samples(Picture):
    """`samples`: E[x | z], the mean of p(x | z), for n codes z drawn from the model's own prior.

    Not draws of x: those would add the observation noise, one coin a pixel for Bernoulli images. The codes come from
    the same noise every time, so that epochs can be compared. Images, black at 0 and white at 1, or points over the
    data, or curves. Costs n runs of the decoder.

    Args:
        n: how many.
        every_n_epochs: in `fit`, draw at the validation of every n-th epoch; `validate` and `test` always.
    """

    tag = "samples"

    def __init__(self, n: int = 64, every_n_epochs: int = 50) -> None:
        super().__init__(n, every_n_epochs)

    def strips(self, model: LatentVariableModel, first: Draw) -> Strips:
        """One strip per code."""
        x = decode(model, model.prior().sample(Size([self.n])))
        return Strips("Samples: mean of p(x | z), z from the prior", x.split(1))
