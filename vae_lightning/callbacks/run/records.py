"""MetricsFile: figures that are logged -> metrics.json in the run's folder."""

from __future__ import annotations

import json
import math
import sys
from pathlib import Path

import lightning.pytorch as pl
from lightning.pytorch.utilities import rank_zero_warn

from vae_lightning.files import atomic_write


class MetricsFile(pl.Callback):
    """Writes `metrics.json` into the run's folder: the last value of every logged figure, null if it is not finite.

    Figures that it holds and this run does not log stay, but for those of `test/` once the run is trained further: they
    are of the model before that. One that cannot be read is put aside, with a warning.
    """

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Drop the figures of the test: a step is about to be taken, after which they are of another model."""
        if (target := file_of_run(trainer, "metrics.json")) is not None and target.exists():
            _replace(target, {name: value for name, value in _read(target).items() if not name.startswith("test/")})

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
        if (target := file_of_run(trainer, "metrics.json")) is None:
            return
        figures = _read(target) if target.exists() else {}
        logged = {name: float(value) for name, value in trainer.callback_metrics.items() if name != "step"}
        figures |= {name: value if math.isfinite(value) else None for name, value in logged.items()}
        _replace(target, figures)


def file_of_run(trainer: pl.Trainer, name: str) -> Path | None:
    """A file in the folder of a run, on the process that writes it; None on others, and of a run that keeps nothing."""
    folder = trainer.log_dir  # asked on every rank: it is broadcast
    dry = folder is None or not trainer.is_global_zero or trainer.fast_dev_run  # type: ignore[attr-defined]
    return None if dry else Path(str(folder)) / name


def _replace(target: Path, figures: dict[str, float | None]) -> None:
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
