"""CodeWriter: `predict` -> codes.npz, one row an observation."""

from __future__ import annotations

from pathlib import Path
from typing import Any, BinaryIO

import lightning.pytorch as pl
import numpy as np
import torch
from torch import Tensor

from vae_lightning.batches import Batch, labels
from vae_lightning.data.protocols import NamesPredicted, datamodule
from vae_lightning.files import atomic_write

Rows = tuple[Tensor, Tensor, Tensor]
"""Ids, labels and codes of some observations."""


class CodeWriter(pl.Callback):
    """Writes `codes.npz` into the run's folder: `ids`, `labels` and `codes` of the predicted observations, by id.

    Codes are what the model's `predict_step` gives: (documents, bits) of booleans for a hashing model, the posterior
    means, (observations, *Z) of float32, for others. Each process writes its share beside the target; the first merges
    them by id and removes the shares, so the file is the same for any number of processes.
    """

    def on_predict_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Begin with no codes."""
        self.rows: list[Rows] = []

    def on_predict_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: object, batch: Batch, batch_idx: int, *_: Any
    ) -> None:
        """Keep a batch of codes, with the ids of its observations."""
        data = datamodule(trainer)
        if isinstance(outputs, Tensor) and isinstance(data, NamesPredicted):
            self.rows.append((data.predict_ids(batch_idx), labels(batch).cpu(), outputs.cpu()))

    def on_predict_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Write the share, merge, and say where."""
        folder = trainer.log_dir  # asked on every rank: it is broadcast
        if folder is None:
            return
        target = Path(folder) / "codes.npz"
        shares = [target.with_name(f"codes.{rank}.part.npz") for rank in range(trainer.world_size)]
        target.parent.mkdir(parents=True, exist_ok=True)
        shares[trainer.global_rank].unlink(missing_ok=True)  # of a run that was killed
        if self.rows:
            save(shares[trainer.global_rank], *map(torch.cat, zip(*self.rows, strict=True)))
        trainer.strategy.barrier("codes written")
        if trainer.is_global_zero and (found := [share for share in shares if share.exists()]):
            merge(found, target)
            print(f"codes: {target}")


def save(target: Path | BinaryIO, ids: Tensor, labels: Tensor, codes: Tensor) -> None:
    """One file, sorted by id."""
    order = ids.argsort()
    np.savez_compressed(target, ids=ids[order].numpy(), labels=labels[order].numpy(), codes=codes[order].numpy())


def merge(shares: list[Path], target: Path) -> None:
    """All shares in one file, moved into place whole; the shares are removed."""
    loaded = [np.load(share) for share in shares]
    rows = [torch.from_numpy(np.concatenate([part[name] for part in loaded])) for name in ("ids", "labels", "codes")]
    with atomic_write(target) as file:
        save(file, *rows)
    for share in shares:
        share.unlink()
