"""Interpolations: a picture of the ways from one observation's code to the next's."""

from __future__ import annotations

import lightning.pytorch as pl
import torch

from vae_lightning.callbacks.pictures.base import Picture, decode
from vae_lightning.callbacks.pictures.codes import codes_of
from vae_lightning.callbacks.pictures.strips import Strips
from vae_lightning.callbacks.requirements import require_latent_variable_model
from vae_lightning.latent_variable import Draw, LatentVariableModel


class Interpolations(Picture):
    """`interpolations`: E[x | z] along n ways from one observation's code to the next one's, (1, 2), (2, 3), ...

    Gaussian codes: z_t = (1 - t) E[z | x] + t E[z | x'], in equal steps. Bits: those in which the two most probable
    codes differ are flipped one at a time (several at once where they are more than steps - 1). Observations of the
    split's first batch. Costs n * steps runs of the decoder. TypeError at setup for other codes.

    Args:
        n: how many ways.
        steps: codes on each, with both ends.
        every_n_epochs: in `fit`, draw at the validation of every n-th epoch; `validate` and `test` always.
    """

    tag = "interpolations"

    def __init__(self, n: int = 8, steps: int = 9, every_n_epochs: int = 50) -> None:
        super().__init__(n, every_n_epochs)
        if steps < 2:
            raise ValueError(f"Interpolations needs steps >= 2, the two ends; got {steps}")
        self.steps = steps

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Say before the first epoch, too, that there are no ways between codes."""
        super().setup(trainer, pl_module, stage)
        self.codes = codes_of(self, require_latent_variable_model(self, pl_module))

    def strips(self, model: LatentVariableModel, first: Draw) -> Strips:
        """One strip per way."""
        z = self.codes.center(first)
        paths = [self.codes.path(*ends, self.steps) for ends in zip(z, z.roll(-1, 0), strict=True)][: self.n]
        x = decode(model, torch.cat(paths)).split([len(path) for path in paths])
        return Strips("Interpolations: mean of p(x | z), z from one observation's code to the next's", x)
