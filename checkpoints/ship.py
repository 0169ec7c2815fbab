"""Make a shipped checkpoint of a run's: keep the model and the data's vocabulary, leave out what only training needs.

    python checkpoints/ship.py runs/version_0/checkpoints/best.ckpt checkpoints/newsgroups-8bit.ckpt
"""

from __future__ import annotations

import sys
from pathlib import Path

import torch

from vae_lightning.callbacks import AtomicCheckpointIO

KEPT = (
    "state_dict", "hyper_parameters", "hparams_name", "datamodule_hyper_parameters", "datamodule_hparams_name",
    "Newsgroups", "seed", "epoch", "global_step", "pytorch-lightning_version",
)  # fmt: skip


def ship(source: Path, target: Path) -> None:
    checkpoint = torch.load(source, weights_only=True)
    AtomicCheckpointIO().save_checkpoint({key: checkpoint[key] for key in KEPT if key in checkpoint}, target)


if __name__ == "__main__":
    ship(*map(Path, sys.argv[1:]))
