"""SmoothKNN: whether the model's samples can be told from data."""

from __future__ import annotations

from collections.abc import Sequence

import lightning.pytorch as pl
from torch import Tensor

from vae_lightning import metrics
from vae_lightning.batches import Batch
from vae_lightning.callbacks.base import MetricDiagnostic
from vae_lightning.callbacks.requirements import (
    check_size,
    drawn,
    require_generates,
    require_latent_variable_model,
    require_whole,
)
from vae_lightning.distributions import is_bag_of_words
from vae_lightning.latent_variable import Draw


class SmoothKNN(MetricDiagnostic):
    """Logs `smooth_knn`, how surely samples of the model can be told from data: 0 +- 1 if they cannot, large if so.

        d_ij = sqrt(1e-5 + |x_i - x_j|^2),   M_ij = P(j is among i's k neighbours)  (k = 1: softmax_j of -alpha d_ij)
        T = sum of M_ij over pairs of one datum and one sample,    t = -(T - E T) / sqrt(1e-5 + Var T)

    Data and as many samples are pooled, every point draws k neighbours, near ones more likely, and T expects how many
    of these edges join the two. Its mean and variance are those under random relabelling of the pool, so that t is in
    standard deviations of what chance gives: its error bar is 1. It grows as the number of points does, about as the
    square root: compare values of the same `limit`, k and alpha only.

    The data are the split's first observations; samples come from the model's own prior and decoder, with noise, under
    a seed of their own. Distances are between whole observations, which in high dimensions says little of what the
    eye sees. Costs as many samples, and (2 limit)^2 distances: 0.1 s for 500 a side.

    TypeError at setup for bags of words, and for observations of which entries may be missing.

    Source: Djolonga, Krause, Learning Implicit Generative Models Using Differentiable Graph Tests (2017); as a figure
    of merit: Yacoby, Pan, Doshi-Velez, Characterizing and Avoiding Problematic Global Optima of Variational
    Autoencoders (2019), Table 1, with 100 a side.

    Args:
        k: neighbours of each point.
        alpha: inverse temperature, in 1 / distance; of several, M is the average.
        limit: how many observations, and samples, at most.
        every_n_epochs: in `fit`, watch the validation of every n-th epoch; `validate` and `test` always.
    """

    metric: metrics.SmoothKNN

    def __init__(
        self, k: int = 1, alpha: float | Sequence[float] = 1.0, limit: int = 500, every_n_epochs: int = 50
    ) -> None:
        super().__init__(metrics.SmoothKNN(k, alpha, limit), every_n_epochs)
        self.least = max(2, k // 2 + 1)  # beside as many samples
        if limit < self.least:
            raise ValueError(f"SmoothKNN needs limit >= {self.least} for k = {k}, got {limit}")

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Say before the first epoch, not after it, that there are no distances."""
        model = require_latent_variable_model(self, pl_module)
        if is_bag_of_words(model.decoder.prototype()):
            raise TypeError(
                f"SmoothKNN takes distances between observations, and {type(pl_module).__name__} models bags of words: "
                "leave this callback out"
            )
        require_whole(self, model)
        require_generates(self, pl_module)
        check_size(self, trainer, stage, self.least)

    def observe(self, trainer: pl.Trainer, module: pl.LightningModule, draw: Draw, batch: Batch) -> None:
        """Keep the batch beside as many samples, whose noise is a function of the batch's number."""
        if self.metric.full:
            return
        samples = drawn(require_generates(self, module), len(draw.x))
        assert isinstance(draw.x, Tensor), "bags of words are refused at setup"
        assert isinstance(samples, Tensor), "bags of words are refused at setup"
        self.metric.update(draw.x.flatten(1), samples.flatten(1))

    def figures(self) -> dict[str, Tensor]:
        """The one figure."""
        return {"smooth_knn": self.metric.compute()}
