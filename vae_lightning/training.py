"""TrainingCLI: LightningCLI with this project's defaults: loggers, checkpoints, records, exact resume."""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Sequence
from typing import Any

import lightning.pytorch as pl
from lightning.pytorch.callbacks import ModelCheckpoint, RichProgressBar
from lightning.pytorch.cli import LightningArgumentParser, LightningCLI
from lightning.pytorch.loggers import TensorBoardLogger
from lightning.pytorch.plugins import CheckpointIO

from vae_lightning.callbacks import AtomicCheckpointIO, FinalFigures, MetricsFile

_MMAP_THRESHOLD, _TRIM_THRESHOLD = -3, -1  # glibc's names for mallopt's parameters


class TrainingCLI(LightningCLI):
    """`vae-lightning fit|validate|test|predict`: any LightningModule and LightningDataModule by class path.

    Two checkpoints are kept in the run's folder: `best.ckpt`, by validation NELBO, and `last.ckpt`, of the last epoch
    (or every `last.every_n_train_steps`), from which `--ckpt_path` resumes exactly.
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
            save_config_kwargs={"overwrite": True},
            trainer_defaults={
                "logger": {
                    "class_path": f"{TensorBoardLogger.__module__}.{TensorBoardLogger.__qualname__}",
                    "init_args": {"save_dir": "runs", "name": "", "default_hp_metric": False},
                },
                "callbacks": [RichProgressBar(), MetricsFile(), FinalFigures()],
                "use_distributed_sampler": False,
                "log_every_n_steps": 20,
                "num_sanity_val_steps": 0,
            },
            parser_kwargs={"prog": "vae-lightning"} | {name: {"usage": _usage(name)} for name in cls.subcommands()},
            args=None if list(arguments) == sys.argv[1:] else list(arguments),
        )

    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        """`--best.*` and `--last.*` configure the two checkpoints."""
        parser.add_lightning_class_args(ModelCheckpoint, "best")
        parser.add_lightning_class_args(ModelCheckpoint, "last")
        shared = {"enable_version_counter": False, "auto_insert_metric_name": False}
        best = {"filename": "best", "monitor": "val/nelbo", "mode": "min"}
        last = {"filename": "last", "save_on_train_epoch_end": True}
        parser.set_defaults({f"best.{k}": v for k, v in (best | shared).items()})
        parser.set_defaults({f"last.{k}": v for k, v in (last | shared).items()})

    def instantiate_trainer(self, **kwargs: Any) -> pl.Trainer:
        """Checkpoints are written atomically unless the configuration brings its own checkpoint plugin."""
        plugins = self._get(self.config_init, "trainer").get("plugins") or []
        plugins = list(plugins) if isinstance(plugins, list | tuple) else [plugins]
        if not any(isinstance(plugin, CheckpointIO) for plugin in plugins):
            kwargs["plugins"] = [*plugins, AtomicCheckpointIO()]
        return super().instantiate_trainer(**kwargs)

    def after_fit(self) -> None:
        """Where everything is."""
        if self.trainer.is_global_zero and self.trainer.log_dir:
            print(f"logs and metrics.json: {self.trainer.log_dir} (tensorboard --logdir {self.trainer.log_dir})")
            for callback in self.trainer.checkpoint_callbacks:
                if path := getattr(callback, "best_model_path", ""):
                    print(f"checkpoint: {path}")


def _usage(subcommand: str) -> str:
    """One line, where the generated usage would list 150 options above every error."""
    return f"vae-lightning {subcommand} --config FILE.yaml [--config OVERLAY.yaml] [--KEY VALUE ...]"


def keep_large_buffers() -> None:
    """Ask glibc to keep freed buffers of tens of megabytes: taking them anew from the system costs more than a step."""
    try:
        libc = ctypes.CDLL("libc.so.6")
        libc.mallopt(_MMAP_THRESHOLD, 32 << 20)
        libc.mallopt(_TRIM_THRESHOLD, 1 << 30)
    except (OSError, AttributeError):
        return  # another C library: nothing to ask
