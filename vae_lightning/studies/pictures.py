"""A picture -> a PNG in the study's folder, and an image for TensorBoard."""

from __future__ import annotations

from pathlib import Path

from matplotlib.figure import Figure
from torch.utils.tensorboard.writer import SummaryWriter


def publish(picture: Figure, out: Path, name: str) -> None:
    """Write `out/NAME.png`, and the same under `name` for `tensorboard --logdir OUT`."""
    out.mkdir(parents=True, exist_ok=True)
    picture.savefig(out / f"{name}.png", dpi=120)
    with SummaryWriter(str(out / "tensorboard")) as writer:
        writer.add_figure(name, picture)
