"""A picture -> a PNG in the study's folder, and an image for TensorBoard."""

from __future__ import annotations

from pathlib import Path

from matplotlib.figure import Figure
from torch.utils.tensorboard.writer import SummaryWriter

from vae_lightning.files import atomic_write


def publish(picture: Figure, out: Path, name: str) -> None:
    """Write `out/NAME.png`, and the same under `name` for `tensorboard --logdir OUT`."""
    with atomic_write(out / f"{name}.png") as file:
        picture.savefig(file, dpi=120, format="png")
    with SummaryWriter(str(out / "tensorboard")) as writer:
        writer.add_figure(name, picture)
