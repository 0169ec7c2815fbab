"""ResampledPosterior: a picture of how importance weighting turns q(z | x) into the true posterior."""

from __future__ import annotations

from collections.abc import Sequence

import lightning.pytorch as pl
import torch
from matplotlib.figure import Figure
from torch import Tensor

from vae_lightning.batches import Batch
from vae_lightning.callbacks.base import Diagnostic
from vae_lightning.callbacks.gallery import has_gallery, show
from vae_lightning.callbacks.requirements import require_latent_variable_model
from vae_lightning.counts import Counts, select
from vae_lightning.inference.resampled import ResampledPosterior as Resampled
from vae_lightning.latent_variable import Draw, LatentVariableModel
from vae_lightning.metrics.log_likelihood import checked

WITHIN = 8.0  # nats below the largest density are still in the picture


class ResampledPosterior(Diagnostic):
    """Draws, for a two-dimensional code, the density of q_EW(z | x) as k grows, beside the true posterior.

        q_EW(z) = E_{z_2, ..., z_k ~ q} [ p(x, z) / (1/k (w(z) + sum_j w(z_j))) ],     w(z) = p(x, z) / q(z | x)

    is the law of one of k samples of q(z | x), chosen in proportion to its weight: q itself for k = 1, p(z | x) in the
    limit. A row of the picture is one observation, the columns are the ks and p(z | x), each scaled to its largest
    value. Logged as the TensorBoard image `resampled_posterior`, of the first observations of a split. Costs a few
    grids of the decoder for each of them, some 50,000 rows.

    TypeError at setup for a model without encoder and decoder; ValueError unless its code is two real numbers.

    Source: Cremer, Morris, Duvenaud, Reinterpreting Importance-Weighted Autoencoders (2017), Fig. 1.

    Args:
        ks: how many samples one is chosen of.
        observations: how many rows.
        pixels: points on each side of the grid.
        replicates: draws of the other k - 1 samples that a density is averaged over.
        every_n_epochs: in `fit`, watch the validation of every n-th epoch; `validate` and `test` always.
    """

    def __init__(
        self,
        ks: Sequence[int] = (1, 5, 50),
        observations: int = 3,
        pixels: int = 80,
        replicates: int = 100,
        every_n_epochs: int = 50,
    ) -> None:
        super().__init__(every_n_epochs)
        self.ks = checked(ks)
        for name, value in {"observations": observations, "pixels": pixels, "replicates": replicates}.items():
            if value < 1:
                raise ValueError(f"ResampledPosterior needs {name} >= 1, got {value}")
        self.observations, self.pixels, self.replicates = observations, pixels, replicates

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Say before the first epoch when the code is not to be drawn."""
        q = require_latent_variable_model(self, pl_module).encoder.prototype()
        if q.event_shape.numel() != 2 or not q.has_rsample:
            raise ValueError(f"ResampledPosterior draws codes of two real numbers, got {q}: set the latent size to 2")

    def begin(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        """Begin with no picture."""
        self.figure: Figure | None = None

    def observe(self, trainer: pl.Trainer, module: pl.LightningModule, draw: Draw, batch: Batch) -> None:
        """Draw the first observations of the first batch, which is the first process's."""
        if self.figure is None and has_gallery(trainer):
            model = require_latent_variable_model(self, module)
            x = select(draw.x, torch.arange(min(self.observations, len(draw.x))))
            with torch.no_grad(), torch.autocast(module.device.type, enabled=False):
                rows = [self._row(model, select(x, torch.tensor([n]))) for n in range(len(x))]
            self.figure = posteriors_picture([f"q_EW, k = {k}" if k > 1 else "q(z | x)" for k in self.ks], rows)

    def report(self, trainer: pl.Trainer, module: pl.LightningModule, split: str) -> None:
        """Write the picture."""
        if has_gallery(trainer) and self.figure is not None:
            show(trainer, split, "resampled_posterior", self.figure)

    def _row(self, model: LatentVariableModel, x: Tensor | Counts) -> tuple[Tensor, list[Tensor]]:
        """The box (2, 2) of one observation, and the log-densities on its grid."""
        box = window(model, x, self.pixels)
        z = grid(box, self.pixels).reshape(-1, 1, *model.prior.event_shape)
        densities = [Resampled(model, x, k, self.replicates).log_prob(z) for k in self.ks]
        densities.append(model.log_joint(x, z))
        return box.cpu(), [density.reshape(self.pixels, self.pixels).cpu() for density in densities]


def window(model: LatentVariableModel, x: Tensor | Counts, pixels: int) -> Tensor:
    """Low and high corner of a box that holds q and the true posterior, found in steps from twice the prior's range."""
    q = model.encoder(x)
    samples = torch.cat((model.prior().sample(torch.Size([1000])).flatten(1), q.sample(torch.Size([1000])).flatten(1)))
    low, high = samples.amin(0), samples.amax(0)
    box = torch.stack((1.5 * low - 0.5 * high, 1.5 * high - 0.5 * low))
    for _ in range(3):
        points = grid(box, pixels)
        z = points.reshape(-1, 1, *model.prior.event_shape)
        inside = [density > density.max() - WITHIN for density in (model.log_joint(x, z), q.log_prob(z))]
        kept, cell = points.flatten(0, 1)[(inside[0] | inside[1])[:, 0]], (box[1] - box[0]) / pixels
        box = torch.stack((kept.amin(0) - cell, kept.amax(0) + cell))
    return box


def grid(box: Tensor, pixels: int) -> Tensor:
    """(pixels, pixels, 2) points, the second coordinate slowest, in the middle of their cells."""
    middles = (torch.arange(pixels, device=box.device, dtype=box.dtype) + 0.5) / pixels
    first, second = (low + (high - low) * middles for low, high in box.T)
    return torch.stack(torch.meshgrid(first, second, indexing="xy"), -1)


def posteriors_picture(titles: Sequence[str], rows: Sequence[tuple[Tensor, list[Tensor]]]) -> Figure:
    """A row for each box with its log-densities, the last of which is the true posterior's."""
    columns = [*titles, "p(z | x)"]
    figure = Figure(figsize=(len(columns), 0.8 * len(rows) + 0.2), dpi=200, layout="constrained")
    panels = figure.subplots(len(rows), len(columns), squeeze=False, sharex="row", sharey="row")
    for line, (box, densities) in zip(panels, rows, strict=True):
        for axes, density in zip(line, densities, strict=True):
            extent = tuple(box.T.flatten().tolist())
            axes.imshow((density - density.max()).exp(), origin="lower", extent=extent, aspect="auto", cmap="magma_r")
            axes.tick_params(labelsize="small")
            axes.locator_params(nbins=2)
    for axes, title in zip(panels[0], columns, strict=True):
        axes.set_title(title, fontsize="small")
    return figure
