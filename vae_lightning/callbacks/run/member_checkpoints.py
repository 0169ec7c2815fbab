"""MemberCheckpoints: the best members of an ensemble -> ordinary checkpoints."""

from __future__ import annotations

import re
from pathlib import Path

import lightning.pytorch as pl

from vae_lightning.callbacks.run.checkpoint_io import AtomicCheckpointIO
from vae_lightning.models import Ensemble


class MemberCheckpoints(pl.Callback):
    """Writes the best members of an `Ensemble`, when `fit` ends, as `checkpoints/member-NAME.ckpt` in the run's folder.

    Each has the member's best weights and is a checkpoint of its class alone: `LiBI.load_from_checkpoint(PATH)`, or
    `vae-lightning test --config CONFIG_OF_ONE --ckpt_path PATH` with all diagnostics. The best is the one whose own
    selection on validation is best: lowest `val/loss`, for LiBI lowest `val/selection`; members whose objectives differ
    in weights, as beta, are compared without them, by the NELBO. Members that were never judged are left out. To go on
    with the training take `last.ckpt`, which holds all members.
    TypeError unless the model is an Ensemble; ValueError for best < 1.

    Args:
        best: how many members are written, the best first.
    """

    def __init__(self, best: int = 1) -> None:
        if best < 1:
            raise ValueError(f"MemberCheckpoints writes at least the best member, got best={best}")
        self.best = best

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """TypeError if the model is no Ensemble."""
        if not isinstance(pl_module, Ensemble):
            raise TypeError(f"MemberCheckpoints writes members of an Ensemble, the model is {type(pl_module).__name__}")

    def on_fit_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Write the best members' checkpoints."""
        if trainer.log_dir is None or trainer.fast_dev_run or not isinstance(pl_module, Ensemble):  # type: ignore[attr-defined]
            return
        judged = [number for number in pl_module.ranking if pl_module.best_loss[number].isfinite()]
        files = [re.sub(r"[^\w.=-]+", "-", name) for name in pl_module.names]
        for number in judged[: self.best]:
            name = files[number] if files.count(files[number]) == 1 else f"{files[number]}-{number}"
            target = Path(trainer.log_dir) / "checkpoints" / f"member-{name}.ckpt"
            AtomicCheckpointIO().save_checkpoint(pl_module.checkpoint(number), target)
