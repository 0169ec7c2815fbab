"""BestCheckpoint: the models of a run that a figure prefers."""

from __future__ import annotations

import os
import secrets
import shutil
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
from lightning.pytorch.callbacks import ModelCheckpoint

from vae_lightning.callbacks.base import Diagnostic
from vae_lightning.callbacks.run.copies import Copies
from vae_lightning.models.protocols import part
from vae_lightning.objectives import Objective
from vae_lightning.process import from_first

_BEST = "best"
_OF_ENCODER = {True: (), False: ("val/nelbo", "val/reconstruction", "val/kl", "val/log_likelihood")}


class BestCheckpoint(ModelCheckpoint):
    """Keeps the best model by `monitor` as `checkpoints/best.ckpt` in the run's folder.

    Of the `save_top_k` best, if there is more than one, each has a file of its own, best-EPOCH-STEP.ckpt or by
    `filename`, and best.ckpt is another name of the first among them. `last.ckpt` is written by LastCheckpoint.
    Machines that share no folder have these files each.

    ValueError for `save_last`, and for several files whose `filename` has no {step} to tell them apart.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.save_last:
            raise ValueError("last.ckpt is written anyway: set best.save_last to null, and see last.every_n_steps")
        if self.save_top_k in (0, 1):
            return
        if self.filename == _BEST:
            self.filename = _BEST + "-{epoch}-{step}"
        if "{step" not in (self.filename or "{step"):
            raise ValueError(
                f"best.save_top_k {self.save_top_k} needs a best.filename with {{step}}, which tells its files apart; "
                f"got {self.filename}"
            )

    @property
    def state_key(self) -> str:
        """ModelCheckpoint's key, under which checkpoints have the state."""
        return super().state_key.replace(type(self).__qualname__, ModelCheckpoint.__qualname__, 1)

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """The folder is the run's, whatever its logger; ValueError for a figure that no training makes better."""
        objective = part(pl_module, "objective")
        if stage == "fit" and isinstance(objective, Objective) and self.monitor in _OF_ENCODER[objective.fits_encoder]:
            raise ValueError(
                f"best.monitor {self.monitor} is of the encoder, which {type(objective).__name__} does not train: set "
                "it to val/smooth_knn, with the callback SmoothKNN, or to a distance of FrechetInceptionDistance"
            )
        folder = trainer.log_dir  # asked on every rank: it is broadcast
        if self.dirpath is None and folder is not None:
            self.dirpath = str(Path(folder) / "checkpoints")
        super().setup(trainer, pl_module, stage)
        if stage == "fit" and self.dirpath is not None:
            self._copies = Copies(trainer, Path(self.dirpath))

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """What was the best so far, in this run's folder, which may have been moved; nothing if it is not there."""
        here = {path: str(Path(self.dirpath or "", Path(path).name)) for path in _files(state_dict)}
        if from_first(all(Path(path).is_file() for path in here.values())):  # or processes would choose differently
            moved = {key: here.get(value, value) for key, value in state_dict.items() if isinstance(value, str)}
            models = {here[path]: score for path, score in state_dict["best_k_models"].items()}
            super().load_state_dict(state_dict | moved | {"best_k_models": models, "dirpath": self.dirpath})

    def on_train_batch_end(self, trainer: pl.Trainer, *args: Any) -> None:
        """Keep the best, by steps."""
        super().on_train_batch_end(trainer, *args)
        self._name_best(trainer)

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Keep the best, by epochs."""
        super().on_train_epoch_end(trainer, pl_module)
        self._name_best(trainer)

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Keep the best, by validations; ValueError after the first for a figure that nobody logs."""
        names = sorted(trainer.callback_metrics)
        if self.monitor is not None and self.monitor not in names and not trainer.sanity_checking and self.save_top_k:
            later = [each for each in trainer.callbacks if isinstance(each, Diagnostic) and not each.due(trainer)]  # type: ignore[attr-defined]
            others = ", ".join(type(each).__name__ for each in later)
            way_out = f"; if it is of {others}, which did not run at this validation, set its every_n_epochs to 1"
            raise ValueError(
                f"best.monitor {self.monitor} is not logged; there are {', '.join(names)}{way_out if later else ''}"
            )
        super().on_validation_end(trainer, pl_module)
        self._name_best(trainer)

    def _name_best(self, trainer: pl.Trainer) -> None:
        """Give the best file the name best.ckpt as well."""
        best, saved = Path(self.best_model_path), self._last_global_step_saved
        if not (trainer.is_global_zero or self._keeps) or saved == self._named or not best.is_file():
            return
        self._named = saved
        target = best.with_name(f"{_BEST}.ckpt")
        if target != best:
            also = target.with_name(f".{secrets.token_hex(8)}.part")
            try:
                os.link(best, also)
            except OSError:  # a file system without links
                shutil.copyfile(best, also)
            also.replace(target)

    def _save_checkpoint(self, trainer: pl.Trainer, filepath: str) -> None:
        super()._save_checkpoint(trainer, filepath)
        if self._copies is not None:
            self._copies.send(Path(filepath))

    def _remove_checkpoint(self, trainer: pl.Trainer, filepath: str) -> None:
        super()._remove_checkpoint(trainer, filepath)
        if self._keeps and Path(filepath).parent.resolve() == Path(self.dirpath or "").resolve():
            Path(filepath).unlink(missing_ok=True)

    @property
    def _keeps(self) -> bool:
        return self._copies is not None and self._copies.keeps

    _copies: Copies | None = None
    _named = -1  # the step of the file that was last looked at


def _files(state: dict[str, Any]) -> list[str]:
    return [path for path in (*state["best_k_models"], state["best_model_path"], state["kth_best_model_path"]) if path]
