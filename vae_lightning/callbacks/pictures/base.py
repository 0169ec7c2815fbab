"""Picture: when a picture is made, of what, and that the model is one that can be drawn."""

from __future__ import annotations

import abc
from typing import ClassVar

import lightning.pytorch as pl
import torch
from jaxtyping import Float
from torch import Tensor

from vae_lightning.batches import Batch
from vae_lightning.callbacks.base import Diagnostic
from vae_lightning.callbacks.gallery import Pixels, has_gallery, show
from vae_lightning.callbacks.pictures.painters import painter
from vae_lightning.callbacks.pictures.strips import Strips
from vae_lightning.callbacks.requirements import require_latent_variable_model
from vae_lightning.data.protocols import datamodule, view_limits
from vae_lightning.distributions import is_bag_of_words
from vae_lightning.latent_variable import Draw, LatentVariableModel


class Picture(Diagnostic):
    """A picture `{split}/{tag}` of a split's first batch: the same on any number of processes.

    TensorBoard gets it as an image, and the run's folder as a file, `pictures/{split}-{tag}-{step}.png`: those of the
    last 20 steps at which it was drawn. The batch holds the split's first observations and belongs to the process that
    writes. The picture is made by that process alone, and not at all in a run without a logger. TypeError at setup for
    a model without encoder, decoder and prior, or whose observations no picture can be made of.
    """

    tag: ClassVar[str]

    def __init__(self, n: int, every_n_epochs: int = 50) -> None:
        super().__init__(every_n_epochs)
        if n < 1:
            raise ValueError(f"{type(self).__name__} needs n >= 1, got {n}")
        self.n = n

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Say before the first epoch, not after it, that a model has no picture."""
        decoder = require_latent_variable_model(self, pl_module).decoder
        if is_bag_of_words(decoder.prototype()):
            raise TypeError(
                f"{type(self).__name__} draws images, points and curves, but {type(pl_module).__name__} models bags of "
                "words: NearestWords shows those"
            )
        self.paint = painter(decoder.event_shape, view_limits(datamodule(trainer)))

    def begin(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        """Begin with no batch."""
        self.first: Draw | None = None

    def observe(self, trainer: pl.Trainer, module: pl.LightningModule, draw: Draw, batch: Batch) -> None:
        """Keep the first batch."""
        if self.first is None and trainer.is_global_zero:
            self.first = draw

    def report(self, trainer: pl.Trainer, module: pl.LightningModule, split: str) -> None:
        """Make the picture."""
        if has_gallery(trainer) and self.first is not None:
            picture = self.draw(require_latent_variable_model(self, module), self.first)
            show(trainer, split, self.tag, picture)

    @torch.no_grad()
    def draw(self, model: LatentVariableModel, first: Draw) -> Pixels:
        """The picture, of the first batch of a split."""
        return self.paint(self.strips(model, first), observations(first))

    @abc.abstractmethod
    def strips(self, model: LatentVariableModel, first: Draw) -> Strips:
        """What it shows."""


def observations(draw: Draw) -> Tensor:
    """The batch that was evaluated, (B, *X)."""
    assert isinstance(draw.x, Tensor), "bags of words are refused at setup"
    return draw.x


def decode(model: LatentVariableModel, z: Float[Tensor, "n *latent"]) -> Float[Tensor, "n *observation"]:
    """E[x | z], the mean of p(x | z): a probability for a bit, the centre of a Gaussian."""
    return model.decoder(z).mean
