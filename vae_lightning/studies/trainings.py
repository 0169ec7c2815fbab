"""A module and its data -> the module trained, in a folder where a training that is killed at any moment goes on."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
from lightning.pytorch.loggers import TensorBoardLogger
from lightning.pytorch.utilities import rank_zero_warn

from vae_lightning.callbacks import BestCheckpoint, EpochLines, LastCheckpoint
from vae_lightning.models.reproducible import ReproducibleModule
from vae_lightning.process.trainers import SignalConnector
from vae_lightning.studies.provenance import Settings
from vae_lightning.training import trainer
from vae_lightning.trust import read_checkpoint

Checkpoint = dict[str, Any]
"""The content of a file that `vae_lightning.load` reads."""

TRAINED_BY = "trained_by"
"""In a checkpoint of a study: the settings of its training."""


class Trainings:
    """Trains modules; what a training goes on from is kept in a folder that is named after its settings.

    Args:
        folder: of the cell.
        settings: all that the training depends on.
        save_every: steps, after which a training that is killed goes on; by default it does so after an epoch alone.
        options: what the Trainer is given, beside callbacks and epochs.
    """

    def __init__(
        self,
        folder: Path,
        settings: Settings,
        save_every: int | None = None,
        options: Mapping[str, Any] | None = None,
    ) -> None:
        self.folder, self.settings = folder, dict(settings)
        self.save_every, self.options = save_every, options or {}
        told = json.dumps(self.settings, sort_keys=True).encode()
        self.name = f"training-{hashlib.sha256(told).hexdigest()[:8]}"

    @property
    def last(self) -> Path:
        """What a training goes on from."""
        return self.folder / self.name / "checkpoints" / "last.ckpt"

    @property
    def best(self) -> Path:
        """Where `keep_best` keeps the best model."""
        return self.last.with_name("best.ckpt")

    def fit(
        self,
        module: pl.LightningModule,
        data: pl.LightningDataModule,
        epochs: int,
        callbacks: Sequence[pl.Callback] = (),
    ) -> None:
        """Train, or go on; the module ends as the last checkpoint has it, with averaged weights where they were."""
        begun = self._begun()
        run = trainer(
            logger=TensorBoardLogger(self.folder, self.name, version="", default_hp_metric=False),
            max_epochs=epochs,
            callbacks=[*callbacks, EpochLines(), LastCheckpoint(self.save_every)],
            **self.options,
        )
        run._signal_connector = SignalConnector(run)  # Lightning's would end the command with status 0
        run.fit(module, data, ckpt_path=begun)
        module.load_state_dict(read_checkpoint(self.last)["state_dict"])

    def _begun(self) -> Path | None:
        """What there is to go on from; of a damaged file nothing, with a warning."""
        if self.last.is_file():
            try:
                read_checkpoint(self.last)
            except ValueError as damage:
                rank_zero_warn(f"{damage}: the training begins anew")
            else:
                return self.last
        return None

    def restore_best(self, module: pl.LightningModule) -> Checkpoint:
        """Give the module the weights that `keep_best` kept; return all that it kept."""
        selected = read_checkpoint(self.best)
        module.load_state_dict(selected["state_dict"])
        return selected

    def content(self, module: ReproducibleModule) -> Checkpoint:
        """The trained module, as a checkpoint of weights alone."""
        weights = {name: value.detach().cpu().clone() for name, value in module.state_dict().items()}
        content: Checkpoint = {
            "epoch": 0,
            "global_step": module.trained_steps,
            "pytorch-lightning_version": version("lightning"),
            "state_dict": weights,
            module.CHECKPOINT_HYPER_PARAMS_KEY: dict(module.hparams),
            TRAINED_BY: self.settings,
        }
        module.on_save_checkpoint(content)
        return content

    def kept(self, file: Path) -> Checkpoint | None:
        """A checkpoint of a training by these settings, if there is one."""
        try:
            content = read_checkpoint(file)
        except ValueError:  # missing or damaged: the training is run, or goes on
            return None
        return content if content.get(TRAINED_BY) == self.settings else None


def keep_best(figure: str, mode: str = "min") -> BestCheckpoint:
    """Among the callbacks of a training, keeps its best model by a figure of validation."""
    return BestCheckpoint(
        filename="best", monitor=figure, mode=mode, enable_version_counter=False, save_weights_only=True
    )
