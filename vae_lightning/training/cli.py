"""TrainingCLI: LightningCLI with this project's defaults: loggers, checkpoints, records, exact resume."""

from __future__ import annotations

import argparse
import math
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import torch
import yaml
from jsonargparse import Namespace
from jsonargparse.typing import register_type
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.cli import LightningArgumentParser
from lightning.pytorch.loggers import CSVLogger
from lightning.pytorch.strategies.launchers.multiprocessing import _MultiProcessingLauncher
from lightning.pytorch.utilities import rank_zero_info

from vae_lightning.callbacks import BestCheckpoint, LastCheckpoint
from vae_lightning.files import expanded, find
from vae_lightning.models.protocols import ChecksData
from vae_lightning.process import ready_to_train
from vae_lightning.process.trainers import SignalConnector
from vae_lightning.training import help as texts
from vae_lightning.training import place, records
from vae_lightning.training.arguments import named, options
from vae_lightning.training.changes import ChangedSettings, Changes, changed_settings, changes, check_weights, misfit
from vae_lightning.training.checkpoint import Checkpoint, Config, start_from
from vae_lightning.training.defaults import DEFAULTS, check, own_callbacks, own_parts
from vae_lightning.training.parser import Nothing, TeachingParser
from vae_lightning.training.paths import expand
from vae_lightning.training.run_config import RunConfig, read_options
from vae_lightning.training.shapes import AsksData
from vae_lightning.training.shipped import with_files
from vae_lightning.training.subcommands import OneSubcommand


class TrainingCLI(OneSubcommand, AsksData):
    """`vae-lightning fit|validate|test|predict`: any LightningModule and LightningDataModule by class path.

    Two checkpoints are kept in the run's folder: `best.ckpt`, by validation NELBO, and `last.ckpt`, of the last epoch
    (and of every `last.every_n_steps` steps), from which `--ckpt_path` resumes exactly. What is given a checkpoint of
    a run goes on in that run's folder, with the checkpoint's model and data unless options say otherwise.
    """

    # Four of LightningCLI's methods used here are private, for want of a public place: _parse_ckpt_path keeps
    # hyper-parameters below what was typed, _dump_config saves a second look at them, _instantiate_trainer adds parts,
    # _run_subcommand rewords an error; and _parser completes a configuration. tests/test_cli.py and tests/training fail
    # if a release of Lightning changes them; constraints.txt names the one they were tested with.

    def __init__(
        self, *args: Any, folder: Path | None = None, observers: Sequence[Callback] = (), **kwargs: Any
    ) -> None:
        self.folder, self.observers = folder, observers
        super().__init__(*args, **kwargs)

    @classmethod
    def run(
        cls, arguments: Sequence[str], folder: Path | None = None, observers: Sequence[Callback] = ()
    ) -> TrainingCLI:
        """Parse and run one subcommand in its options' folder, or this one; `observers` are in no configuration."""
        ready_to_train()
        register_type(torch.device, fail_already_registered=False)  # which config.yaml could not hold otherwise
        return cls(
            model_class=pl.LightningModule,
            datamodule_class=pl.LightningDataModule,
            subclass_mode_model=True,
            subclass_mode_data=True,
            seed_everything_default=0,
            save_config_callback=RunConfig,
            save_config_kwargs={"save_to_log_dir": False},  # RunConfig saves it itself
            trainer_defaults={"logger": place.LOGGER} | DEFAULTS,
            # `options` reads what was typed before the parser does, and knows options by their whole names
            parser_kwargs={"prog": "vae-lightning", "allow_abbrev": False}
            | {name: texts.describe(name) for name in cls.subcommands()},
            parser_class=TeachingParser,
            auto_configure_optimizers=False,
            args=list(arguments),
            folder=folder,
            observers=observers,
        )

    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        """`--best.*` and `--last.*` configure the two checkpoints."""
        parser.add_lightning_class_args(BestCheckpoint, "best")
        parser.add_lightning_class_args(LastCheckpoint, "last")
        best: dict[str, Any] = {"filename": "best", "monitor": "val/nelbo", "mode": "min"}
        best |= {"enable_version_counter": False, "auto_insert_metric_name": False}
        parser.set_defaults({f"best.{name}": value for name, value in best.items()})
        for name, instead in texts.INSTEAD.items():  # config.yaml of earlier runs has them, as null
            parser.add_argument(f"--{name}", type=Nothing(instead), help=argparse.SUPPRESS)

    def parse_arguments(self, parser: LightningArgumentParser, args: Any) -> None:
        """Look at the checkpoint before anything is built for it; its configuration comes before what was given."""
        self.arguments = subcommand, *rest = with_files(args)
        said = {name: value for name, value in options(rest) if value is not None}
        self.trusted = tuple(named(said))
        self.checkpoint = self._find(said, "ckpt_path", "last" if subcommand == "fit" else "best")
        fresh = subcommand == "fit" and self.checkpoint is None
        self.start = self._find(said, "start_from", "best") if fresh else None
        if self.checkpoint and any(argument.startswith("--start_from") for argument in rest):
            raise ValueError("give --ckpt_path to go on with a run, or --start_from to begin a new one, not both")
        if subcommand != "fit" and self.checkpoint is None and not {"--help", "-h", "--print_config"} & set(rest):
            raise ValueError(f"{subcommand} needs a trained model: give its checkpoint by --ckpt_path")
        if subcommand == "fit" and self.checkpoint is not None and not self.checkpoint.resumable:
            raise ValueError(
                f"{self.checkpoint.path} holds weights alone, from which no run goes on: start a new one from them by "
                f"--start_from {self.checkpoint.path}"
            )
        self.config = parser.parse_args([subcommand, *self._first(said), *rest])
        for part in ("model", "data"):
            if self.config[subcommand].get(part) is None:
                raise ValueError(f"there is no {part}: give a --config FILE or NAME with one, or --{part} CLASS")
        expand(self.config[subcommand])
        if self.checkpoint is not None:
            self.config[subcommand].ckpt_path = str(self.checkpoint.path)

    def _find(self, said: dict[str, Any], option: str, name: str) -> Checkpoint | None:
        if option not in said:
            return None
        path = find(str(said[option]), option, name, place.root(said))
        named_itself = Path(expanded(str(said[option]))).is_file()
        return (Checkpoint.read if named_itself or name != "last" else Checkpoint.read_newest)(path, self.trusted)

    def _first(self, said: dict[str, Any]) -> list[str]:
        """What the checkpoint says, as configurations that every other one comes after."""
        source = self.checkpoint or self.start
        if source is None:
            return []
        folder = Path(expanded(str(said.get("ckpt_path") or said["start_from"]))).is_dir()
        options = read_options(source.run, self.trusted) if folder and source.run else {}
        return [f"--config={yaml.safe_dump(given)}" for given in (options, source.config()) if given]

    def _dump_config(self) -> None:
        """As Lightning does, once, but without looking at every option once more."""
        if "config_dump" in vars(self):
            return
        written = self.parser.dump(
            self.config, skip_link_targets=False, skip_none=False, skip_validation=True, format="yaml"
        )
        self.config_dump = yaml.safe_load(written)[self.config.subcommand]

    def _parse_ckpt_path(self) -> None:
        """Do nothing: Lightning would put the checkpoint's hyper-parameters over what was typed."""

    @cached_property
    def changes(self) -> Changes:
        """Where the model differs from the checkpoint's."""
        old, new = self._models()
        return changes(old, new) if old else {}

    def _models(self) -> tuple[Config, Config]:
        """The model as the checkpoint and as this run's configuration describe it, completed alike."""
        source = self.checkpoint or self.start
        if source is None or source.model is None:
            return {}, {}
        parse = self._parser(self.subcommand).parse_args
        old = parse(["--config", yaml.safe_dump({"model": source.model})])
        return old.model.as_dict(), self.config[self.subcommand].model.as_dict()

    def before_instantiate_classes(self) -> None:
        """Say what the data tell, and where the run logs: where that of its checkpoint did, or an option says."""
        config = self.config[self.subcommand]
        data = self.told_by_data(config)
        self.given, config.data = self.config.clone(), data
        place.settle(config.trainer)
        self._go_on_in_place(config)
        place.take_safely(config.trainer)

    def _go_on_in_place(self, config: Namespace) -> None:
        if self.folder is not None:
            begun = self.checkpoint.step if self.checkpoint else 0
            return place.go_on(config.trainer, self.folder, begun if place.logged_before(self.folder) else None)
        if self.checkpoint is None:
            return None
        run, fit = self.checkpoint.run, self.subcommand == "fit"
        if run is not None and not place.names_another(list(options(self.arguments, without=run / "config.yaml")), run):
            place.go_on(config.trainer, run, self.checkpoint.step if fit else None)
        elif fit:
            why = f"{self.checkpoint.path} is in no run's folder" if run is None else "an option names another place"
            rank_zero_info(f"what goes on has a new folder: {why}")
        return None

    def after_instantiate_classes(self) -> None:
        """Let a model that depends on the data refuse them before anything is written."""
        source = self.checkpoint or self.start
        if source is not None:
            check_weights(self.model, source, self.changes)
        try:
            if isinstance(self.model, ChecksData):
                self.model.check_data(self.datamodule)
        except ValueError as error:
            if source is not None:
                error.add_note(f"the weights of {source.path} fit data as theirs alone: for these train a model anew")
            raise
        self._look_at_folder()
        if self.start is not None:
            start_from(self.start.path, self.model, self.trusted)

    def _look_at_folder(self) -> None:
        """Refuse a folder that another run has; keep what this run has written into it so far."""
        config = self.given[self.subcommand].trainer
        if config.fast_dev_run or config.barebones:
            return
        if self.folder is None and not place.is_numbered(config):  # a number is taken as late as can be
            records.check_folder(Path(self.trainer.log_dir or ""), self.checkpoint)
        if isinstance(self.trainer.strategy.launcher, _MultiProcessingLauncher):
            _ = self.trainer.log_dir  # the processes that it starts have a copy of the logger, and so the same folder
        step = self.checkpoint.step if self.checkpoint is not None and self.subcommand == "fit" else math.inf
        for logger in self.trainer.loggers if self.checkpoint is not None else ():
            if isinstance(logger, CSVLogger):
                records.keep_rows(logger, step)

    def _instantiate_trainer(self, config: dict[str, Any], callbacks: list[Callback]) -> pl.Trainer:
        """Make the trainer with this project's callbacks and plugin, but for those that an option switches off."""
        check(config)
        self.config = self.given  # what is written into config.yaml
        if config["barebones"]:
            self.save_config_callback = None
        own = own_callbacks(config, callbacks) + self._resumed() + list(self.observers)
        trainer = super()._instantiate_trainer(config | own_parts(config, self.trusted), own)
        trainer._signal_connector = SignalConnector(trainer)
        return trainer

    def _resumed(self) -> list[Callback]:
        if self.subcommand != "fit" or self.checkpoint is None or not self.changes:
            return []
        return [ChangedSettings(changed_settings(*self._models(), self.checkpoint.path))]

    def _run_subcommand(self, subcommand: str) -> None:
        """Say in the options' words that weights do not fit."""
        try:
            super()._run_subcommand(subcommand)
        except RuntimeError as error:
            if "Early stopping" in str(error) and not sum(self.trainer.num_val_batches):
                raise ValueError(texts.NO_VALIDATION) from error
            source = self.checkpoint or self.start
            if source is None or not self.changes or "loading state_dict" not in str(error):
                raise
            raise ValueError(misfit(source, self.changes)) from error

    def after_fit(self) -> None:
        """Print where everything is."""
        folder = self.trainer.log_dir  # asked on every rank: it is broadcast
        if self.trainer.is_global_zero and folder and not self.config["fit"].trainer.fast_dev_run:
            records.report(Path(folder), self.trainer)
