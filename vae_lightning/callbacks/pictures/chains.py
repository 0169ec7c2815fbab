"""Chains: a picture of an RBM's Gibbs chains as they go on."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import lightning.pytorch as pl
import torch

from vae_lightning.callbacks.base import Diagnostic
from vae_lightning.callbacks.gallery import Pixels, has_gallery, show
from vae_lightning.callbacks.pictures.painters import painter
from vae_lightning.callbacks.pictures.strips import Strips
from vae_lightning.callbacks.requirements import require_harmonium
from vae_lightning.data.protocols import datamodule, view_limits
from vae_lightning.harmonium.phase import NegativePhase
from vae_lightning.models.protocols import part


class Chains(Diagnostic):
    """`chains`: n Gibbs chains of an RBM, one a row, each drawn after some numbers of steps.

    It draws E[v | h], the mean of p(v | h), and begins at the persistent chains where the model's algorithm has some.
    Chains that keep their first image for a thousand steps do not mix: samples of such a model say little about it, and
    gradients from persistent chains are wrong. Made by the process that writes; costs n x the largest of `steps` Gibbs
    steps.

    Args:
        n: chains.
        steps: after how many Gibbs steps, ascending from 0 or more.
        every_n_epochs: in `fit`, draw at the validation of every n-th epoch; `validate` and `test` always.
    """

    def __init__(self, n: int = 10, steps: Sequence[int] = (0, 1, 10, 100, 1000), every_n_epochs: int = 50) -> None:
        super().__init__(every_n_epochs)
        if n < 1:
            raise ValueError(f"Chains needs n >= 1, got {n}")
        self.n, self.steps = n, list(steps)
        if not self.steps or self.steps[0] < 0 or any(b <= a for a, b in pairwise(self.steps)):
            raise ValueError(f"Chains needs ascending steps from 0 or more, got {self.steps}")

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Say before the first epoch that a model has no such picture."""
        model = require_harmonium(self, pl_module)
        if model.has_lengths:
            raise TypeError("Chains draws images, points and curves, but the model's observations are bags of words")
        self.paint = painter(model.visible.event_shape, view_limits(datamodule(trainer)))

    def report(self, trainer: pl.Trainer, module: pl.LightningModule, split: str) -> None:
        """Make the picture."""
        if has_gallery(trainer):
            show(trainer, split, "chains", self.draw(module))

    @torch.no_grad()
    def draw(self, module: pl.LightningModule) -> Pixels:
        """The picture of the model's chains."""
        model, algorithm = require_harmonium(self, module), part(module, "algorithm")
        assert isinstance(algorithm, NegativePhase), "a harmonium's module has an algorithm"
        h, frames, done = algorithm.starts(model, self.n), [], 0
        for step in self.steps:
            if step > done:
                v = model.visible.sample(model.visible_natural(h))
                v = model.gibbs(v, step - done - 1) if step - done > 1 else v
                h, done = model.hidden.sample(model.hidden_natural(v)), step
            frames.append(model.visible_given(h).mean)
        title = f"Gibbs chains: mean of p(v | h) after {', '.join(map(str, self.steps))} steps"
        return self.paint(Strips(title, list(torch.stack(frames, 1))), frames[0])
