"""Place: logger, default root and checkpoint -> the folder that a run logs in, which holds one run."""

from __future__ import annotations

from pathlib import Path

from jsonargparse import Namespace, dict_to_namespace

from vae_lightning.files import expanded
from vae_lightning.training.arguments import Option

TENSORBOARD = "lightning.pytorch.loggers.TensorBoardLogger"
LOGGER = {
    "class_path": TENSORBOARD,
    "init_args": {"save_dir": "", "name": "", "version": None, "default_hp_metric": False},
}
_ROOT = "runs"
_OWN = {
    TENSORBOARD: "vae_lightning.training.loggers.RunTensorBoard",
    "lightning.pytorch.loggers.CSVLogger": "vae_lightning.training.loggers.RunCSV",
}
"""Lightning's loggers that give a run a folder of its own, and what takes that folder safely in their place."""


def root(said: dict[str, object]) -> Path:
    """The folder of all runs, by the options that were given."""
    folder = said.get("trainer.logger.save_dir") or said.get("trainer.default_root_dir") or _ROOT
    return Path(expanded(str(folder)), str(said.get("trainer.logger.name") or ""))


def loggers(trainer: Namespace) -> list[Namespace]:
    """The loggers that the configuration describes; none for `false`."""
    given = trainer.logger if isinstance(trainer.logger, list) else [trainer.logger]
    return [logger for logger in given if isinstance(logger, Namespace) and "init_args" in logger]


def settle(trainer: Namespace) -> None:
    """Without a folder of their own, loggers log in the trainer's default root, or else in `runs`; barebones, nothing.

    `true` stands for this project's default logger.
    """
    if trainer.barebones and any(logger.class_path == TENSORBOARD for logger in loggers(trainer)):
        trainer.logger, trainer.log_every_n_steps = False, 0
    if trainer.logger is True or trainer.logger is None:
        trainer.logger = dict_to_namespace(LOGGER)
    for logger in loggers(trainer):
        if logger.init_args.get("save_dir") == "":
            logger.init_args.save_dir = str(trainer.default_root_dir or _ROOT)


def names_another(said: list[Option], run: Path) -> bool:
    """Whether an option says that this run is to log elsewhere than in the folder of that one."""
    given = {name: str(value) for name, value in said if value is not None}
    folder, name = given.get("trainer.logger.save_dir"), given.get("trainer.logger.name")
    folder = folder or given.get("trainer.default_root_dir")
    version = given.get("trainer.logger.version", run.name)
    here = (run.resolve(), run.resolve().parent)
    elsewhere = (folder or name) and Path(expanded(folder or _ROOT), name or "").resolve() not in here
    return bool(elsewhere) or version not in (run.name, run.name.removeprefix("version_"))


def go_on(trainer: Namespace, run: Path, purge_step: int | None) -> None:
    """Log in the folder of a run; what TensorBoard has from `purge_step` on is about to be logged again."""
    for logger in loggers(trainer):
        place = {"save_dir": str(run.parent), "name": "", "version": run.name}
        if logger.class_path not in _OWN:
            place = {"save_dir": str(run)}
        for key in place.keys() & set(vars(logger.init_args)):
            logger.init_args[key] = place[key]
        if logger.class_path == TENSORBOARD and purge_step is not None:
            logger["dict_kwargs"] = {"purge_step": purge_step}
    trainer.default_root_dir = trainer.default_root_dir if loggers(trainer) else str(run)


def holds_run(folder: Path) -> bool:
    """Whether some run has written into this folder."""
    return (folder / "config.yaml").exists() or any(folder.glob("checkpoints/*.ckpt"))


def logged_before(folder: Path) -> bool:
    """Whether a run has logged for TensorBoard here."""
    return any(folder.glob("events.out.tfevents.*"))


def is_numbered(trainer: Namespace) -> bool:
    """Whether the logger gives each run a new folder."""
    first = loggers(trainer)[:1]
    return bool(first) and first[0].init_args.get("version", "") is None


def take_safely(trainer: Namespace) -> None:
    """Let no run that starts at the same time have the same folder."""
    for logger in loggers(trainer):
        logger.class_path = _OWN.get(logger.class_path, logger.class_path)
