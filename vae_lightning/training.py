"""TrainingCLI: LightningCLI with this project's defaults: loggers, checkpoints, records, exact resume."""

from __future__ import annotations

import argparse
import inspect
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

import lightning.pytorch as pl
from lightning.pytorch.callbacks import ModelCheckpoint, RichProgressBar
from lightning.pytorch.cli import LightningArgumentParser, LightningCLI, SaveConfigCallback
from lightning.pytorch.plugins import CheckpointIO

from vae_lightning.callbacks import AtomicCheckpointIO, CodeWriter, FinalFigures, LastCheckpoint, MetricsFile
from vae_lightning.messages import in_one_line
from vae_lightning.process import SignalConnector, keep_large_buffers
from vae_lightning.trust import read_checkpoint

_LOGGER = "lightning.pytorch.loggers.TensorBoardLogger"


class RunConfig(SaveConfigCallback):
    """Writes `config.yaml` into a new run's folder; evaluating it and going on with it leave the file as it is."""

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """When `fit` begins."""
        written = (Path(trainer.log_dir or "") / self.config_filename).exists()
        # the first process decides: another may look when the file has just been written, and would part from it
        if stage == "fit" and not trainer.strategy.broadcast(written):
            self.config.ckpt_path = None  # the next `fit --config config.yaml` is a run of its own
            super().setup(trainer, pl_module, stage)


class _AsWritten(argparse.RawDescriptionHelpFormatter):
    """Keeps the lines of a docstring, and names of a thousand known subclasses of nn.Module only this project's."""

    def _expand_help(self, action: argparse.Action) -> str:
        return re.sub(r"known subclasses: ([^)]*)", self._ours, super()._expand_help(action))

    @staticmethod
    def _ours(known: re.Match[str]) -> str:
        paths = known[1].split(", ")
        where = "vae_lightning.nn." if "torch.nn.Module" in paths else "vae_lightning."
        ours = [path for path in paths if path.startswith(where)]
        return f"of this project: {', '.join(ours)}" if ours else f"{len(paths)} known subclasses"


class TeachingParser(LightningArgumentParser):
    """Says of a mistake what it is, not the whole configuration around it; and of a class what its docstring says."""

    def error(self, message: str, ex: Exception | None = None) -> NoReturn:
        """One line on standard error, and exit status 2."""
        print(f"vae-lightning: {in_one_line(message)}; see --help", file=sys.stderr)
        raise SystemExit(2)

    def add_class_arguments(self, theclass: Any, *args: Any, **kwargs: Any) -> list[str]:
        """In the help of one class (`--trainer.callbacks.help CLASS`), show all that its docstring says before Args."""
        if (self.description or "").startswith("Help for "):
            path, text = f"{theclass.__module__}.{theclass.__qualname__}", inspect.getdoc(theclass) or ""
            self.description = f"{path}\n\n{text.partition('Args:')[0].strip()}"
            self.formatter_class = type("ClassHelp", (_AsWritten, self.formatter_class), {})
        return super().add_class_arguments(theclass, *args, **kwargs)


class TrainingCLI(LightningCLI):
    """`vae-lightning fit|validate|test|predict`: any LightningModule and LightningDataModule by class path.

    Two checkpoints are kept in the run's folder: `best.ckpt`, by validation NELBO, and `last.ckpt`, of the last epoch
    (and of every `last.every_n_steps` steps), from which `--ckpt_path` resumes exactly. What is given a checkpoint of
    a run goes on in that run's folder.
    """

    @classmethod
    def run(cls, arguments: Sequence[str]) -> TrainingCLI:
        """Parse and run one subcommand."""
        keep_large_buffers()
        return cls(
            model_class=pl.LightningModule,
            datamodule_class=pl.LightningDataModule,
            subclass_mode_model=True,
            subclass_mode_data=True,
            seed_everything_default=0,
            save_config_callback=RunConfig,
            save_config_kwargs={"overwrite": True},
            trainer_defaults={
                "logger": {
                    "class_path": _LOGGER,
                    "init_args": {"save_dir": "runs", "name": "", "default_hp_metric": False},
                },
                "callbacks": [RichProgressBar(refresh_rate=10), MetricsFile(), FinalFigures(), CodeWriter()],
                "use_distributed_sampler": False,
                "log_every_n_steps": 20,
                "num_sanity_val_steps": 0,
            },
            parser_kwargs={"prog": "vae-lightning"} | {name: _help(name) for name in cls.subcommands()},
            args=None if list(arguments) == sys.argv[1:] else list(arguments),
        )

    def init_parser(self, **kwargs: Any) -> LightningArgumentParser:
        """With errors of one line."""
        parser = super().init_parser(**kwargs)
        parser.__class__ = TeachingParser  # LightningCLI names its parser's class in the middle of this method
        return parser

    def parse_arguments(self, parser: LightningArgumentParser, args: Any) -> None:
        """Look at the checkpoint before anything is built for it."""
        super().parse_arguments(parser, args)
        self.checkpoint = self.config[self.config.subcommand].get("ckpt_path")
        if self.checkpoint is None and self.config.subcommand != "fit":
            raise ValueError(f"{self.config.subcommand} needs a trained model: give its checkpoint by --ckpt_path")
        self.trust = tuple(_named(self.config[self.config.subcommand].as_dict()))
        if self.checkpoint is not None:
            content = read_checkpoint(Path(self.checkpoint), trust=self.trust)
            self.checkpoint_step = content["global_step"]
            self.names_its_class = "_class_path" in content.get("hyper_parameters", {})

    def _parse_ckpt_path(self) -> None:
        """As LightningCLI's, of a checkpoint that was looked at and says of which class its hyper-parameters are.

        Those of one that Python wrote would be taken for arguments of whatever the configuration names.
        """
        if self.checkpoint is not None and self.names_its_class:
            super()._parse_ckpt_path()

    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        """`--best.*` and `--last.*` configure the two checkpoints."""
        parser.add_lightning_class_args(ModelCheckpoint, "best")
        parser.add_lightning_class_args(LastCheckpoint, "last")
        best: dict[str, Any] = {"filename": "best", "monitor": "val/nelbo", "mode": "min"}
        best |= {"enable_version_counter": False, "auto_insert_metric_name": False}
        parser.set_defaults({f"best.{name}": value for name, value in best.items()})

    def before_instantiate_classes(self) -> None:
        """Go on in the folder of the run whose checkpoint is given, if it lies where this run would log."""
        logger = self.config[self.subcommand].trainer.logger
        if not self.checkpoint or getattr(logger, "class_path", None) != _LOGGER:
            return
        run = Path(self.checkpoint).resolve().parent.parent
        if run.parent == Path(logger.init_args.save_dir, logger.init_args.name or "").resolve():
            logger.init_args.version = run.name
            if self.subcommand == "fit":  # what was logged after the checkpoint is about to be logged again
                logger["dict_kwargs"] = {"purge_step": self.checkpoint_step}

    def after_instantiate_classes(self) -> None:
        """Let a model that depends on the data refuse them before anything is written."""
        if hasattr(self.model, "check_data"):
            self.model.check_data(self.datamodule)

    def instantiate_trainer(self, **kwargs: Any) -> pl.Trainer:
        """Checkpoints are written atomically unless the configuration brings its own checkpoint plugin."""
        if self._get(self.config_init, "trainer").get("enable_progress_bar") is False:
            quiet = [c for c in self.trainer_defaults["callbacks"] if not isinstance(c, RichProgressBar)]
            self.trainer_defaults = self.trainer_defaults | {"callbacks": quiet}
        plugins = self._get(self.config_init, "trainer").get("plugins") or []
        plugins = list(plugins) if isinstance(plugins, list | tuple) else [plugins]
        if not any(isinstance(plugin, CheckpointIO) for plugin in plugins):
            kwargs["plugins"] = [*plugins, AtomicCheckpointIO(self.trust)]
        trainer = super().instantiate_trainer(**kwargs)
        trainer._signal_connector = SignalConnector(trainer)
        return trainer

    def after_fit(self) -> None:
        """Where everything is."""
        folder = self.trainer.log_dir  # asked on every rank: it is broadcast
        if self.trainer.is_global_zero and folder:
            print(f"figures: {Path(folder) / 'metrics.json'}; watch: tensorboard --logdir {folder}")
            for checkpoint in sorted(Path(folder, "checkpoints").glob("*.ckpt")):
                print(f"checkpoint: {checkpoint}")


def _named(value: Any) -> Iterator[str]:
    """The paths of classes and functions in a configuration, which is the user's word and has had them imported."""
    if isinstance(value, str) and value.rpartition(".")[0] in sys.modules:
        yield value
    for part in value.values() if isinstance(value, Mapping) else value if isinstance(value, list | tuple) else ():
        yield from _named(part)


_DESCRIPTIONS = {
    "fit": "Train a model, keep its best and its last checkpoint, log to TensorBoard. With --ckpt_path: go on where "
    "that checkpoint was written, to the same bits as a run that was never interrupted.",
    "validate": "Figures of a checkpoint (--ckpt_path) on the validation split.",
    "test": "Figures of a checkpoint (--ckpt_path) on the test split: once, after selection.",
    "predict": "Write the codes that a checkpoint (--ckpt_path) gives, hashes or posterior means, as codes.npz in the "
    "run's folder.",
}


def _help(subcommand: str) -> dict[str, str]:
    """A usage of one line, where the generated one would list 150 options above every error, and what is done."""
    return {
        "usage": f"vae-lightning {subcommand} --config FILE.yaml [--config OVERLAY.yaml] [--KEY VALUE ...]",
        "description": f"{_DESCRIPTIONS[subcommand]} Every option is a key of the YAML file; --model.help "
        "vae_lightning.models.HashingVAE (--data.help, --trainer.callbacks.help, with a class path) teaches a class.",
    }
