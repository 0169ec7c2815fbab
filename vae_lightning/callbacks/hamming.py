"""HammingPrecision: how well a hashing model's codes retrieve training documents of the same label."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import lightning.pytorch as pl
import torch
from jaxtyping import Bool
from lightning.pytorch.utilities import rank_zero_warn
from torch import Tensor

from vae_lightning import metrics
from vae_lightning.callbacks.base import Diagnostic
from vae_lightning.counts import Counts
from vae_lightning.models.preflight import in_memory

CHUNK_DOCUMENTS = 1024  # encoded at once


class HammingPrecision(Diagnostic):
    """Logs `precision@k`, `precision_within_r` and `found_within_r` of evaluated documents among the training ones.

    As `vae_lightning.metrics.HammingPrecision` defines them, on the codes of `model.encode`, the mode of q(z | x).
    Where all training documents have one label, or each its own, nothing is to be retrieved: the precisions are left
    out, with one line that says so. TypeError for a model that has no such codes, ValueError for data without k
    training documents.

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
        data: Any = trainer.datamodule  # type: ignore[attr-defined]
        if not in_memory(data):
            raise ValueError(
                "HammingPrecision searches the training documents: give the Trainer a datamodule with .train"
            )
        train = data.split("train")
        if self.metric.k > len(train):
            raise ValueError(
                f"HammingPrecision's k must be at most {len(train)}, the number of training documents, got k = "
                f"{self.metric.k}: lower its k (init_args.k in trainer.callbacks)"
            )
        self.without_labels = _say_nothing(train.y)
        if self.without_labels:
            rank_zero_warn(f"HammingPrecision: {self.without_labels}: its precisions are left out")

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
        found = self.metric.compute()
        if self.without_labels:
            found = {name: value for name, value in found.items() if not name.startswith("precision")}
        module.log_dict({f"{split}/{name}": value.float() for name, value in found.items()}, sync_dist=True)


def _say_nothing(labels: Tensor) -> str:
    """Why the labels say nothing of retrieval, if they do not."""
    kinds = len(labels.unique())
    if kinds == 1:
        return f"all {len(labels)} training documents have the same label, so any code would retrieve with precision 1"
    return "each training document has a label of its own, so no code can retrieve" if kinds == len(labels) else ""


def encode_all(model: Any, x: Counts) -> Iterator[Bool[Tensor, "chunk m"]]:
    """The codes of many documents, on the model's device, a chunk at a time."""
    for rows in torch.arange(len(x)).split(CHUNK_DOCUMENTS):
        yield model.encode(x.select(rows).to(model.device))
