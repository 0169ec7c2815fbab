"""HammingPrecision: how well a hashing model's codes retrieve training documents of the same label."""

from __future__ import annotations

import lightning.pytorch as pl
import torch
from lightning.pytorch.utilities import rank_zero_warn
from torch import Tensor

from vae_lightning import metrics
from vae_lightning.batches import Batch, labels
from vae_lightning.callbacks.base import MetricDiagnostic
from vae_lightning.callbacks.requirements import require_codes
from vae_lightning.counts import Counts
from vae_lightning.data.protocols import InMemory, datamodule
from vae_lightning.latent_variable import Draw
from vae_lightning.models.codes import codes_in, encode_all
from vae_lightning.models.rbm import Evaluated


class HammingPrecision(MetricDiagnostic):
    """Logs `precision@k`, `precision_within_r` and `found_within_r` of evaluated documents among the training ones.

    As `vae_lightning.metrics.HammingPrecision` defines them, on the codes of `model.hashes`, the mode of q(z | x).
    Where all training documents have one label, or each its own, nothing is to be retrieved: the precisions are left
    out, with one line that says so. TypeError for a model that has no such codes, ValueError for data without k
    training documents.

    Args:
        k: how many nearest training documents count.
        radius: the Hamming radius of the second figure.
        every_n_epochs: in `fit`, watch the validation of every n-th epoch; `validate` and `test` always.
    """

    metric: metrics.HammingPrecision

    def __init__(self, k: int = 100, radius: int = 2, every_n_epochs: int = 10) -> None:
        super().__init__(metrics.HammingPrecision(k, radius), every_n_epochs)

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Say before the first epoch, not after it, when model or data do not fit."""
        if stage == "predict":
            return
        require_codes(self, pl_module)
        train = _documents(trainer).split("train")
        if self.metric.k > len(train):
            raise ValueError(
                f"HammingPrecision's k must be at most {len(train)}, the number of training documents, got k = "
                f"{self.metric.k}: give more documents, or lower its k (init_args.k in trainer.callbacks)"
            )
        self.without_labels = _say_nothing(train.y)
        if self.without_labels:
            rank_zero_warn(f"HammingPrecision: {self.without_labels}: its precisions are left out")

    def begin(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        """Index the codes of the training documents."""
        super().begin(trainer, module)
        train = _documents(trainer).split("train")
        assert isinstance(train.x, Counts), "documents are sparse"
        codes = list(encode_all(require_codes(self, module), train.x))
        self.metric.index(torch.cat(codes), train.y.to(module.device))

    def observe(self, trainer: pl.Trainer, module: pl.LightningModule, draw: Draw | Evaluated, batch: Batch) -> None:
        """Search with each document of the batch."""
        self.metric.update(codes_in(draw, require_codes(self, module)), labels(batch))

    def figures(self) -> dict[str, Tensor]:
        """The metric's; without precisions where the labels give them no meaning."""
        found: dict[str, Tensor] = self.metric.compute()
        without = self.without_labels
        return {name: value for name, value in found.items() if not (without and name.startswith("precision"))}


def _documents(trainer: pl.Trainer) -> InMemory:
    data = datamodule(trainer)
    if not isinstance(data, InMemory):
        raise ValueError("HammingPrecision searches the training documents: give the Trainer a datamodule with .train")
    return data


def _say_nothing(labels: Tensor) -> str:
    """Why the labels say nothing of retrieval, if they do not."""
    kinds, unlabelled = len(labels.unique()), int((labels < 0).sum())
    if unlabelled:
        return f"{unlabelled} of {len(labels)} training documents have no label"
    if kinds == 1:
        return f"all {len(labels)} training documents have the same label, so any code would retrieve with precision 1"
    return "each training document has a label of its own, so no code can retrieve" if kinds == len(labels) else ""
