"""Failure: a training that cannot go on -> what is not finite, and the way out."""

from __future__ import annotations

from pathlib import Path

import lightning.pytorch as pl
from torch import Tensor, nn


def broken_parameters(module: nn.Module) -> str:
    """The names of the parameters that are not finite, with commas; empty if all are finite."""
    return ", ".join(name for name, parameter in module.named_parameters() if not parameter.isfinite().all())


def way_out(trainer: pl.Trainer) -> str:
    """What to change, and the checkpoint to go on from, if there is one."""
    last = Path(trainer.log_dir or "", "checkpoints", "last.ckpt")
    back = f", and resume with --ckpt_path {last}" if last.is_file() else "; no checkpoint was written yet"
    return f"lower the learning rate or set trainer.gradient_clip_val{back}"


def stopped(module: pl.LightningModule, loss: Tensor, terms: str) -> str:
    """Why a training stops at this loss: the terms of it, and the parameters, that are not finite; the way out."""
    broken = broken_parameters(module)
    weights = f"; parameters not finite: {broken}" if broken else ""
    return (
        f"the loss is {loss.item()} at step {module.global_step}; not finite: {terms}{weights}. "
        f"Training stops: {way_out(module.trainer)}"
    )


def check_parameters(module: pl.LightningModule) -> None:
    """ValueError if a checkpoint would hold parameters that are not finite."""
    if broken := broken_parameters(module):
        raise ValueError(
            f"not saving a checkpoint: parameters not finite after step {module.global_step}: {broken}: "
            f"{way_out(module.trainer)}"
        )


def alone_in_batch_norm(error: ValueError) -> ValueError:
    """Torch's error for BatchNorm of a single observation, with the way out added; any other error as it is."""
    if not str(error).startswith("Expected more than 1 value per channel"):
        return error
    return ValueError(
        "BatchNorm cannot train on a batch of one observation, which this batch has: choose data.batch_size so that it "
        "leaves no single observation over, or another normalisation, such as torch.nn.LayerNorm"
    )
