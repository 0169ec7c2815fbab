"""Reconstructions: a picture of observations and what the model makes of their codes."""

from __future__ import annotations

import torch

from vae_lightning.callbacks.pictures.base import Picture, decode, observations
from vae_lightning.callbacks.pictures.strips import Strips
from vae_lightning.latent_variable import Draw, LatentVariableModel


class Reconstructions(Picture):
    """`reconstructions`: the split's first n observations, each above E[x | z] with z its draw from q(z | x).

    z is the evaluation's own first draw, so it shows what the reported reconstruction term is of. Points of a plane are
    joined to theirs by a line; of curves, the dark one is the observation. No more than the first batch holds. Costs
    n runs of the decoder.

    Args:
        n: how many.
        every_n_epochs: in `fit`, draw at the validation of every n-th epoch; `validate` and `test` always.
    """

    tag = "reconstructions"

    def __init__(self, n: int = 16, every_n_epochs: int = 50) -> None:
        super().__init__(n, every_n_epochs)

    def strips(self, model: LatentVariableModel, first: Draw) -> Strips:
        """One strip per observation: it and its reconstruction."""
        x = observations(first)[: self.n]
        pairs = torch.stack((x, decode(model, first.z[0, : self.n]).to(x)), 1)
        return Strips("Reconstructions: observation, then mean of p(x | z), z from q(z | x)", list(pairs))
