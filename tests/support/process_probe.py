"""A callback that notes, on every process, what it did in training."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import lightning.pytorch as pl


class Notes(pl.Callback):
    """Writes `rank{r}.json`: the steps made, documents seen and a hash of the weights at the end of `fit`."""

    def __init__(self, folder: str) -> None:
        self.folder, self.documents = Path(folder), 0

    def on_train_batch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, *_: Any) -> None:
        self.documents += len(batch[1])

    def on_fit_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        weights = b"".join(p.detach().numpy().tobytes() for p in pl_module.parameters())
        notes = {
            "steps": trainer.global_step,
            "documents": self.documents,
            "weights": hashlib.sha256(weights).hexdigest(),
        }
        (self.folder / f"rank{trainer.global_rank}.json").write_text(json.dumps(notes))
