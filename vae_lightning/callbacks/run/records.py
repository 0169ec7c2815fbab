"""Records of a run: metrics.json for machines, hyper-parameters with the final figures for TensorBoard."""

from __future__ import annotations

import json
import math
import sys
from pathlib import Path

import lightning.pytorch as pl
from lightning.pytorch.loggers import TensorBoardLogger
from lightning.pytorch.utilities import rank_zero_warn

from vae_lightning.data.protocols import datamodule
from vae_lightning.files import atomic_write
from vae_lightning.models.protocols import Seeded

_LEFT_OUT = ("_class_path", "_instantiator", "hashes")


class MetricsFile(pl.Callback):
    """Writes `metrics.json` into the run's folder: the last value of every logged figure, null if it is not finite.

    Figures that it holds and this run does not log stay. One that cannot be read is put aside, with a warning.
    """

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Write the figures after each validation, so that a run that is killed leaves its last figures."""
        if not trainer.sanity_checking:
            self._write(trainer)

    def on_fit_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Write the last training figures."""
        self._write(trainer)

    def on_test_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Write the test figures."""
        self._write(trainer)

    def _write(self, trainer: pl.Trainer) -> None:
        folder = trainer.log_dir  # asked on every rank: it is broadcast
        if folder is None or not trainer.is_global_zero or trainer.fast_dev_run:  # type: ignore[attr-defined]
            return
        target = Path(folder) / "metrics.json"
        figures = _read(target) if target.exists() else {}
        logged = {name: float(value) for name, value in trainer.callback_metrics.items() if name != "step"}
        figures |= {name: value if math.isfinite(value) else None for name, value in logged.items()}
        with atomic_write(target) as file:
            file.write(json.dumps(figures, indent=1, sort_keys=True, allow_nan=False).encode())


def _read(target: Path) -> dict[str, float | None]:
    """The figures; none if the file is damaged, which is then kept beside it."""
    try:
        return {name: None if value is None else _finite(value) for name, value in _object(target).items()}
    except (ValueError, RecursionError) as error:
        problem = str(error)
    aside = target.with_name(f"metrics.damaged-{len(list(target.parent.glob('metrics.damaged-*.json')))}.json")
    target.rename(aside)
    rank_zero_warn(f"{target} is damaged ({problem}): it is kept as {aside.name}, and written anew")
    return {}


def _object(target: Path) -> dict[str, object]:
    content = json.loads(target.read_bytes())
    if not isinstance(content, dict):
        raise ValueError("not an object of numbers")
    return content


def _finite(value: object) -> float:
    if isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= sys.float_info.max:
        return float(value)
    raise ValueError(f"not an object of numbers: {str(value)[:40]}")


class FinalFigures(pl.Callback):
    """Logs the hyper-parameters once, at the end of `fit`, beside the run's final figures (TensorBoard's HPARAMS).

    They stand at the step after the last one, so that a run that goes on from there writes them anew.
    """

    def on_fit_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Hyper-parameters without figures never reach that table; not if the trainer is to log none."""
        if not trainer.enable_autolog_hparams:
            return
        data = datamodule(trainer)
        parameters = {"model": dict(pl_module.hparams), "data": dict(data.hparams) if data is not None else {}}
        parameters = {part: {k: v for k, v in hp.items() if k not in _LEFT_OUT} for part, hp in parameters.items()}
        parameters["run"] = {"precision": str(trainer.precision), "max_epochs": trainer.max_epochs}
        parameters["run"]["seed"] = pl_module.seed if isinstance(pl_module, Seeded) else None
        figures = {f"final/{name}": float(value) for name, value in trainer.callback_metrics.items()}
        for logger in trainer.loggers:
            if isinstance(logger, TensorBoardLogger) and trainer.is_global_zero:
                logger.log_hyperparams(parameters, figures, trainer.global_step)
