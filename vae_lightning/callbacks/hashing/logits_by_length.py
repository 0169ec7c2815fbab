"""LogitsByLength: a picture of how the encoder's confidence grows with the length of the document."""

from __future__ import annotations

import lightning.pytorch as pl
import torch
from matplotlib.figure import Figure
from torch import Tensor

from vae_lightning.batches import Batch
from vae_lightning.callbacks.base import Diagnostic
from vae_lightning.callbacks.gallery import has_gallery, show
from vae_lightning.callbacks.requirements import require_latent_variable_model
from vae_lightning.counts import Counts
from vae_lightning.distributions import as_bits, is_bag_of_words, parameters
from vae_lightning.latent_variable import Draw


class LogitsByLength(Diagnostic):
    """Mean |logit| of the code against the document's length, on logarithmic axes, as a TensorBoard image.

    The argument of Shekhovtsov et al. (2022, section 3.1) for encoders that read counts: the true posterior's logits
    are sums over words, so they grow in proportion to the length; an encoder of frequencies cannot follow. TypeError at
    setup for models without lengths, or of codes that are not independent bits.
    """

    def __init__(self, every_n_epochs: int = 10) -> None:
        super().__init__(every_n_epochs)

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Say before the first epoch that there are no lengths, or no logits."""
        model = require_latent_variable_model(self, pl_module)
        bits = as_bits(model.encoder.prototype()) is not None
        if not (bits and is_bag_of_words(model.decoder.prototype())):
            raise TypeError(
                f"LogitsByLength is of codes of documents, as HashingVAE's, not of {type(pl_module).__name__}"
            )

    def begin(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        """Begin with no documents."""
        self.lengths: list[Tensor] = []
        self.logits: list[Tensor] = []

    def observe(self, trainer: pl.Trainer, module: pl.LightningModule, draw: Draw, batch: Batch) -> None:
        """Two numbers a document."""
        assert isinstance(draw.x, Counts), "setup refuses other models"
        self.lengths.append(draw.x.total.cpu())
        (logits,) = parameters(draw.posterior)
        self.logits.append(logits.abs().mean(-1).cpu())

    def report(self, trainer: pl.Trainer, module: pl.LightningModule, split: str) -> None:
        """Draw the picture, from this rank's share of the documents."""
        if has_gallery(trainer):
            show(trainer, split, "logits_by_length", length_picture(torch.cat(self.lengths), torch.cat(self.logits)))


def length_picture(lengths: Tensor, logits: Tensor, num_bins: int = 12) -> Figure:
    """A dot for each document, the mean in bins of equal numbers of documents, and a line of slope one to compare."""
    figure = Figure(figsize=(4.4, 3.2), layout="constrained")
    axes = figure.add_subplot(xscale="log", yscale="log", xlabel="document length (words)", ylabel="mean |logit|")
    axes.plot(lengths, logits, ".", markersize=2, alpha=0.3, color="tab:gray", label="documents")
    bins = [b for b in lengths.argsort().chunk(num_bins) if len(b)]
    x, y = (torch.stack([values[b].mean() for b in bins]) for values in (lengths, logits))
    axes.plot(x, y, "o-", color="tab:blue", label="mean of a twelfth of the documents")
    middle = len(x) // 2
    axes.plot(x, y[middle] * x / x[middle], "--", color="tab:orange", label="in proportion to the length")
    figure.legend(loc="outside upper left", frameon=False)
    return figure
