"""FinalFigures: the hyper-parameters of a run -> TensorBoard's HPARAMS, beside the figures it has of the run."""

from __future__ import annotations

from typing import Any

import lightning.pytorch as pl
from lightning.fabric.utilities.logger import _flatten_dict, _sanitize_params
from lightning.pytorch.loggers import TensorBoardLogger
from torch.utils.tensorboard.summary import hparams

from vae_lightning.data.protocols import datamodule
from vae_lightning.models.protocols import Seeded

_LEFT_OUT = ("_class_path", "_instantiator", "hashes")


class FinalFigures(pl.Callback):
    """Logs the hyper-parameters once, at the end of `fit`, for TensorBoard's HPARAMS.

    There each run is a row, the figures are those that the run has logged (`val/nelbo`, ...), each with its last value,
    and the columns that are shown first are the hyper-parameters in which the runs differ. No figure is written again.

    They stand at the step after the last one, so that a run that goes on from there writes them anew.
    """

    def on_fit_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Write them, unless the trainer is to log none."""
        if not trainer.enable_autolog_hparams:
            return
        parameters = _hyperparameters(trainer, pl_module)
        for logger in trainer.loggers:
            if isinstance(logger, TensorBoardLogger) and trainer.is_global_zero:
                logger.log_hyperparams(parameters, {})  # into hparams.yaml; of no figure
                # without torch's record of an experiment, of which TensorBoard would take one run's for that of all
                _, start, end = hparams(_sanitize_params(_flatten_dict(parameters)), {})
                for summary in (start, end):
                    logger.experiment._get_file_writer().add_summary(summary, trainer.global_step)


def _hyperparameters(trainer: pl.Trainer, module: pl.LightningModule) -> dict[str, dict[str, Any]]:
    data = datamodule(trainer)
    parameters = {"model": dict(module.hparams), "data": dict(data.hparams) if data is not None else {}}
    parameters = {part: {k: v for k, v in hp.items() if k not in _LEFT_OUT} for part, hp in parameters.items()}
    run = {
        "precision": str(trainer.precision),
        "max_epochs": trainer.max_epochs,
        "accumulate_grad_batches": trainer.accumulate_grad_batches,
        "gradient_clip_val": trainer.gradient_clip_val,
        "seed": module.seed if isinstance(module, Seeded) else None,
    }
    return parameters | {"run": run}
