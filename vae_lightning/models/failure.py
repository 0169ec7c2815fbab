"""Failure: a training that cannot go on -> what is not finite, and the way out."""

from __future__ import annotations

from pathlib import Path

import lightning.pytorch as pl
from torch import nn


def broken_parameters(module: nn.Module) -> str:
    """The names of the parameters that are not finite, with commas; empty if all are finite."""
    return ", ".join(name for name, parameter in module.named_parameters() if not parameter.isfinite().all())


def way_out(trainer: pl.Trainer) -> str:
    """What to change, and the checkpoint to go on from, if there is one."""
    last = Path(trainer.log_dir or "", "checkpoints", "last.ckpt")
    back = f", and resume with --ckpt_path {last}" if last.is_file() else "; no checkpoint was written yet"
    return f"lower the learning rate or set trainer.gradient_clip_val{back}"


def alone_in_batch_norm(error: ValueError) -> ValueError:
    """Torch's error for BatchNorm of a single observation, with the way out added; any other error as it is."""
    if not str(error).startswith("Expected more than 1 value per channel"):
        return error
    return ValueError(
        "BatchNorm cannot train on a batch of one observation, which this batch has: choose data.batch_size so that it "
        "leaves no single observation over, or another normalisation, such as torch.nn.LayerNorm"
    )
