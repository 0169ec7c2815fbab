"""A run's checkpoint -> one to ship: the model and the vocabulary, not what only training needs or where data lay.

python checkpoints/ship.py runs/version_0/checkpoints/best.ckpt checkpoints/newsgroups-8bit.ckpt
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch

from vae_lightning.callbacks import AtomicCheckpointIO

KEPT = (
    "state_dict", "hyper_parameters", "hparams_name", "datamodule_hyper_parameters", "datamodule_hparams_name",
    "Newsgroups", "seed", "epoch", "global_step", "pytorch-lightning_version",
)  # fmt: skip


def ship(source: Path, target: Path) -> None:
    """Write what is kept of one checkpoint into another file."""
    checkpoint = torch.load(source, weights_only=True)
    shipped = {key: checkpoint[key] for key in KEPT if key in checkpoint}
    if "datamodule_hyper_parameters" in shipped:
        shipped["datamodule_hyper_parameters"] |= {"path": None}
    AtomicCheckpointIO().save_checkpoint(shipped, target)


def main() -> None:
    """Read the command line, and ship."""
    summary, _, example = __doc__.partition("\n\n")
    parser = argparse.ArgumentParser(
        description=summary, epilog=example.strip(), formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("source", type=Path, help="a checkpoint of a run")
    parser.add_argument("target", type=Path, help="the file to write")
    arguments = parser.parse_args()
    if not arguments.source.is_file():
        parser.error(f"there is no {arguments.source}")
    ship(arguments.source, arguments.target)


if __name__ == "__main__":
    main()
