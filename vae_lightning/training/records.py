"""Records: a trainer -> the folder of its run, looked at before it begins and told of when it has ended."""

from __future__ import annotations

import csv
import shlex
from pathlib import Path

import lightning.pytorch as pl
from lightning.pytorch.loggers import CSVLogger
from lightning.pytorch.utilities import rank_zero_only

from vae_lightning.training.checkpoint import Checkpoint
from vae_lightning.training.place import holds_run


def check_folder(folder: Path, checkpoint: Checkpoint | None) -> None:
    """ValueError if another run than the checkpoint's has this folder: their records would be mixed."""
    run = checkpoint.run if checkpoint is not None else None
    if holds_run(folder) and (run is None or run.resolve() != folder.resolve()):
        raise ValueError(
            f"{folder} holds a run already: give this one a place of its own by --trainer.logger.version, "
            "--trainer.logger.save_dir or, without a logger, --trainer.default_root_dir; or go on with that run by "
            f"--ckpt_path {folder}"
        )


@rank_zero_only
def keep_rows(logger: CSVLogger, before: int | float) -> None:
    """Let metrics.csv go on, which the logger would begin anew: its rows of steps before this one are written again.

    One that a run was killed in the middle of writing says no step, and is left out.
    """
    file = Path(logger.log_dir) / "metrics.csv"
    if not file.is_file():
        return
    with file.open(newline="") as rows:
        kept = [{key: value for key, value in row.items() if key and value} for row in csv.DictReader(rows)]
    logger.experiment.metrics += [row for row in kept if row.get("step", "").isdecimal() and int(row["step"]) < before]
    logger.experiment.save()


def report(folder: Path, trainer: pl.Trainer) -> None:
    """Say where everything is that is there."""
    figures, events = folder / "metrics.json", any(folder.glob("events.out.tfevents.*"))
    said = [f"figures: {figures}"] if figures.is_file() else []
    said += [f"watch: tensorboard --logdir {shlex.quote(str(folder))}"] if events else []
    if said:
        print("; ".join(said))
    folders = [folder / "checkpoints", *(Path(best).parent for best in _best(trainer))]
    for checkpoint in sorted({path for each in folders for path in each.glob("*.ckpt")}):
        print(f"checkpoint: {checkpoint}")


def _best(trainer: pl.Trainer) -> list[str]:
    paths = [
        each.best_model_path for each in trainer.checkpoint_callbacks if isinstance(each, pl.callbacks.ModelCheckpoint)
    ]
    return [path for path in paths if path]
