"""HammingPrecision: how well a hashing model's codes retrieve training documents of the same label."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import lightning.pytorch as pl
import torch
from jaxtyping import Bool
from torch import Tensor

from vae_lightning import metrics
from vae_lightning.callbacks.base import Diagnostic
from vae_lightning.counts import Counts

CHUNK_DOCUMENTS = 1024  # encoded at once


class HammingPrecision(Diagnostic):
    """Logs `precision@k`, `precision_within_r` and `found_within_r` of evaluated documents among the training ones.

    As `vae_lightning.metrics.HammingPrecision` defines them, on the codes of `model.encode`, the mode of q(z | x).
    Raises TypeError for a model that has no such codes, ValueError for data without k training documents.

    Args:
        k: how many nearest training documents count.
        radius: the Hamming radius of the second figure.
        every_n_epochs: in `fit`, watch the validation of every n-th epoch; `validate` and `test` always.
    """

    def __init__(self, k: int = 100, radius: int = 2, every_n_epochs: int = 10) -> None:
        super().__init__(every_n_epochs)
        self.metric = metrics.HammingPrecision(k, radius)

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Say before the first epoch, not after it, when model or data do not fit."""
        if not callable(getattr(pl_module, "encode", None)):
            raise TypeError(
                f"HammingPrecision needs a model with encode(x) -> codes; {type(pl_module).__name__} has none"
            )
        data: Any = getattr(trainer, "datamodule", None)
        if getattr(data, "train", None) is None:
            raise ValueError(
                "HammingPrecision searches the training documents: give the Trainer a datamodule with .train"
            )

    def begin(self, trainer: pl.Trainer, module: Any) -> None:
        """Encode the training documents."""
        train = trainer.datamodule.train  # type: ignore[attr-defined]
        self.metric.to(module.device).reset()
        self.metric.index(torch.cat(list(encode_all(module, train.x))), train.y.to(module.device))

    def observe(self, trainer: pl.Trainer, module: Any, draw: Any, batch: Any) -> None:
        """Search with each document of the batch."""
        x, y = batch
        self.metric.update(module.encode(x), y)

    def report(self, trainer: pl.Trainer, module: Any, split: str) -> None:
        """Log; the metric has merged its sums over processes."""
        figures = {f"{split}/{name}": value.float() for name, value in self.metric.compute().items()}
        module.log_dict(figures, sync_dist=True)


def encode_all(model: Any, x: Counts) -> Iterator[Bool[Tensor, "chunk m"]]:
    """The codes of many documents, on the model's device, a chunk at a time."""
    for rows in torch.arange(len(x)).split(CHUNK_DOCUMENTS):
        yield model.encode(x.select(rows).to(model.device))
