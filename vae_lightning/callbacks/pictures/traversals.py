"""Traversals: a picture of what each latent unit does."""

from __future__ import annotations

import lightning.pytorch as pl
import torch

from vae_lightning import metrics
from vae_lightning.batches import Batch
from vae_lightning.callbacks.pictures.base import Picture, decode
from vae_lightning.callbacks.pictures.codes import codes_of
from vae_lightning.callbacks.pictures.strips import Strips
from vae_lightning.callbacks.requirements import check_size, require_latent_variable_model
from vae_lightning.distributions import mean_code
from vae_lightning.latent_variable import Draw, LatentVariableModel


class Traversals(Picture):
    """`traversals`: E[x | z] as one unit of z moves, for the n most active units, the most active first.

    The other units stay at the code of the split's first observation: E[z | x], or the most probable bits. A Gaussian
    unit goes from -3 to 3 standard deviations of the prior around the prior's mean, in equal steps; a bit is off, then
    on. The label has the unit's number and its activity Var_x(E[z_i | x]) over the split, in squared units of z (Burda
    et al. 2016, Section 5): where that is near 0, nothing should move. Costs n * steps runs of the decoder.
    TypeError at setup for other codes; ValueError for a split of a single observation.

    Args:
        n: how many units.
        steps: values of a Gaussian unit.
        every_n_epochs: in `fit`, draw at the validation of every n-th epoch; `validate` and `test` always.
    """

    tag = "traversals"

    def __init__(self, n: int = 10, steps: int = 9, every_n_epochs: int = 50) -> None:
        super().__init__(n, every_n_epochs)
        if steps < 2:
            raise ValueError(f"Traversals needs steps >= 2, the two ends; got {steps}")
        self.steps = steps
        self.metric = metrics.ActiveUnits()

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Say before the first epoch, too, that units cannot be moved."""
        super().setup(trainer, pl_module, stage)
        self.codes = codes_of(self, require_latent_variable_model(self, pl_module))
        check_size(self, trainer, stage, 2)

    def begin(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        """Begin with no batch, and reset the metric."""
        super().begin(trainer, module)
        self.metric.to(module.device).reset()

    def observe(self, trainer: pl.Trainer, module: pl.LightningModule, draw: Draw, batch: Batch) -> None:
        """Add the batch to the units' activity."""
        super().observe(trainer, module, draw, batch)
        self.metric.update(mean_code(draw.posterior))

    def report(self, trainer: pl.Trainer, module: pl.LightningModule, split: str) -> None:
        """Merge the activity over processes before one of them draws."""
        self.activity = self.metric.units().variances.cpu()
        super().report(trainer, module, split)

    def strips(self, model: LatentVariableModel, first: Draw) -> Strips:
        """One strip per unit."""
        units = self.activity.argsort(descending=True, stable=True)[: self.n].tolist()
        code, prior = self.codes.center(first)[0], model.prior()
        sweeps = [self.codes.sweep(code, unit, prior, self.steps) for unit in units]
        x = decode(model, torch.cat(sweeps)).split([len(sweep) for sweep in sweeps])
        labels = [f"z{unit}: {self.activity[unit]:.2g}" for unit in units]
        title = f"Traversals: one unit {self.codes.sweep_title}, beside its activity"
        return Strips(title, x, labels)
