"""A run's checkpoint -> one to ship: the model and its data's record, not what only training needs or where data lay.

python checkpoints/ship.py runs/version_0/checkpoints/best.ckpt checkpoints/newsgroups-8bit.ckpt
"""

from __future__ import annotations

import argparse
from pathlib import Path

from vae_lightning.callbacks import AtomicCheckpointIO
from vae_lightning.trust import read_checkpoint

TRAINING = ("optimizer_states", "lr_schedulers", "loops", "callbacks", "MixedPrecision")


def ship(source: Path, target: Path) -> None:
    """Write what is kept of one checkpoint into another file."""
    shipped = {name: value for name, value in read_checkpoint(source).items() if name not in TRAINING}
    if "path" in (data := shipped.get("datamodule_hyper_parameters", {})):
        shipped["datamodule_hyper_parameters"] = data | {"path": None}
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
    try:
        ship(arguments.source, arguments.target)
    except ValueError as error:
        parser.error(str(error))


if __name__ == "__main__":
    main()
