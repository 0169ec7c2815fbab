"""RunConfig: the configuration that a run began with -> config.yaml in its folder."""

from __future__ import annotations

from pathlib import Path

import lightning.pytorch as pl
from lightning.pytorch.cli import SaveConfigCallback


class RunConfig(SaveConfigCallback):
    """Writes `config.yaml` into a new run's folder; evaluating it and going on with it leave the file as it is."""

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """When `fit` begins."""
        written = (Path(trainer.log_dir or "") / self.config_filename).exists()
        # the first process decides: another may look when the file has just been written, and would part from it
        if stage == "fit" and not trainer.strategy.broadcast(written):
            self.config.ckpt_path = None  # the next `fit --config config.yaml` is a run of its own
            super().setup(trainer, pl_module, stage)
