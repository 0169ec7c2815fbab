"""MetricDiagnostic: a metric of a split -> its figures in the log."""

from __future__ import annotations

import abc
from collections.abc import Mapping
from typing import Any

import lightning.pytorch as pl
from torch import Tensor
from torchmetrics import Metric

from vae_lightning.batches import Batch
from vae_lightning.callbacks.base import Diagnostic


class MetricDiagnostic(Diagnostic):
    """A Diagnostic whose figures are those of one metric, which `observe` updates; it is reset before each split.

    Args:
        metric: what is computed of a split. It merges what it keeps over processes.
        every_n_epochs: in `fit`, watch the validation of every n-th epoch; `validate` and `test` always.
    """

    metric: Metric

    def __init__(self, metric: Metric, every_n_epochs: int = 1) -> None:
        super().__init__(every_n_epochs)
        self.metric = metric

    def begin(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        """Reset the metric."""
        self.metric.to(module.device).reset()

    @abc.abstractmethod
    def observe(self, trainer: pl.Trainer, module: pl.LightningModule, draw: Any, batch: Batch) -> None:
        """Update the metric by one evaluation batch."""

    def report(self, trainer: pl.Trainer, module: pl.LightningModule, split: str) -> None:
        """Log the figures."""
        log_figures(module, split, self.figures())

    def figures(self) -> Mapping[str, Tensor]:
        """The figures of the split, by the names that they are logged under; by default all that the metric has."""
        figures: dict[str, Tensor] = self.metric.compute()
        return figures


def log_figures(module: pl.LightningModule, split: str, figures: Mapping[str, Tensor]) -> None:
    """Log figures, which are equal on all processes, as `split/name` in single precision."""
    module.log_dict({f"{split}/{name}": value.float() for name, value in figures.items()}, sync_dist=True)
