"""RunConfig: the configuration that a run began with, and went on with -> files in its folder, and back as data."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import yaml
from lightning.pytorch.cli import SaveConfigCallback

from vae_lightning.callbacks.run.configurations import configuration_from, configurations
from vae_lightning.callbacks.run.copies import Copies
from vae_lightning.files import atomic_write, expanded
from vae_lightning.trust import Trust, read_record

_FROM_HERE = ("dirpath", "save_dir")  # that Lightning takes from the folder it is started in
_PLACES = (*_FROM_HERE, "sub_dir", "filename")
_OWN_PLACE = ".SpikeDetection"  # writes to a place that it has from its state in the checkpoint
_OF_BEGINNING = ("seed_everything", "start_from")  # what goes on has the seed that it began with, whatever is given
_READ = ("seed_everything", "trainer", "best", "last")
_LIGHTNING = tuple(f"lightning.pytorch.{part}" for part in ("callbacks", "loggers", "strategies", "profilers"))


class RunConfig(SaveConfigCallback):
    """Writes `config.yaml` into a new run's folder; evaluating it and going on with it leave the file as it is.

    A run that goes on with other options has these in a file of their own, `config-00000020.yaml` from step 20 on.
    It is whole or not there: a run that is killed as it begins leaves no half of it, which would be taken for its own.
    """

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """When `fit` begins."""
        self.file = Path(trainer.log_dir or "") / self.config_filename  # asked on every rank: it is broadcast
        written = self.file.exists()
        if stage != "fit":
            return
        copies = Copies(trainer, self.file.parent)
        if machines := copies.strangers(self.file):
            raise ValueError(
                f"{self.file.parent} holds another run on {', '.join(machines)}: give this one a place of its own, "
                "on all machines, by --trainer.logger.version or --trainer.logger.save_dir"
            )
        if self.config.ckpt_path is not None:
            copies.settle(Path(self.config.ckpt_path), self.file.parent / "checkpoints")
        # the first process decides: another may look when the file has just been written, and would part from it
        if not trainer.strategy.broadcast(written):
            self.config.ckpt_path = None  # the next `fit --config config.yaml` is a run of its own
            super().setup(trainer, pl_module, stage)
        copies.send(self.file)

    def save_config(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Write it, on the first process."""
        with atomic_write(self.file) as file:
            file.write(self._dumped().encode())

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Keep the options of a run that goes on, if others than before; it is about to take a step by them."""
        folder, step = self.file.parent, trainer.global_step
        if not step or not trainer.is_global_zero:
            return
        for since, file in configurations(folder)[1:]:
            if since >= step:  # the run goes on from before these steps, and takes them anew
                file.unlink()
        before = _read(configurations(folder)[-1][1])
        of_beginning = {name: before[name] for name in _OF_BEGINNING if name in before}
        here = yaml.safe_load(self._dumped()) | of_beginning | {"ckpt_path": None}
        if _without_place(here) != _without_place(before):
            with atomic_write(configuration_from(step, folder)) as target:
                target.write(yaml.safe_dump(_without_place(here), sort_keys=False).encode())

    def _dumped(self) -> str:
        return str(self.parser.dump(self.config, skip_none=False, skip_validation=True))


def read_options(folder: Path, trust: Iterable[str]) -> dict[str, Any]:
    """The options of a run beside model and data, which its checkpoint has, and beside the place that it had.

    A run's folder that is given as a checkpoint is data, and may be a stranger's: ValueError if it names classes beside
    this project's, Lightning's own and those of the packages that are trusted.
    """
    file = folder / "config.yaml"
    try:
        read = read_record(file)
        options = _without_place({key: read[key] for key in _READ if key in read})
        trainer = options["trainer"]
        Trust((*trust, *_LIGHTNING)).check_arguments(pl.Trainer, trainer, "trainer")
        _check_places(trainer, folder)
        _check_places([options.get(key) for key in ("best", "last")], folder)
        Trust().check_plain([options.get(key) for key in _READ if key != "trainer"], "best and last")
    except (TypeError, ValueError, AttributeError) as error:
        raise ValueError(f"{file} is no configuration to go by: {error}") from error
    return options


def _read(file: Path) -> dict[str, Any]:
    """What it holds; nothing if it is damaged, which is no reason for a run not to go on."""
    try:
        return read_record(file)
    except (OSError, ValueError):
        return {}


def _without_place(options: Mapping[str, Any]) -> dict[str, Any]:
    """The options of a run without where it logs."""
    trainer = dict(options.get("trainer", {}))
    trainer.pop("default_root_dir", None)
    return dict(options) | {"trainer": trainer | {"logger": _anywhere(trainer.get("logger", True))}}


def _check_places(given: object, folder: Path) -> None:
    """ValueError for an option that would have files written outside the run's folder."""
    if isinstance(given, list):
        for each in given:
            _check_places(each, folder)
    if isinstance(given, str) and given.endswith(_OWN_PLACE):
        raise ValueError(f"{given} may write outside this run's folder: give the file by --config if it is yours")
    for key, value in given.items() if isinstance(given, Mapping) else ():
        if key in _PLACES and isinstance(value, str) and value:
            start = Path() if key in _FROM_HERE else folder
            if not (start / expanded(value)).resolve().is_relative_to(folder.resolve()):
                raise ValueError(
                    f"{key} is {value}, outside this run's folder: give the file by --config if it is yours"
                )
        _check_places(value, folder)


def _anywhere(logger: object) -> Any:
    """A logger without its place."""
    if isinstance(logger, list):
        return [_anywhere(each) for each in logger]
    if not isinstance(logger, Mapping) or "init_args" not in logger:
        return logger
    nowhere = {"save_dir": "", "name": "", "version": None}
    given = logger["init_args"]
    return dict(logger) | {"init_args": given | {key: nowhere[key] for key in nowhere.keys() & given.keys()}}
