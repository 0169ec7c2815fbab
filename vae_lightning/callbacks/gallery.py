"""Gallery: a picture of a diagnostic -> an image in TensorBoard, and a PNG file in the run's folder."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import numpy as np
from jaxtyping import UInt8
from lightning.pytorch.loggers import CSVLogger, TensorBoardLogger
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image
from tensorboard.compat.proto.summary_pb2 import Summary

from vae_lightning.callbacks.reporting import logged_step, say_lost, silent_tensorboard
from vae_lightning.files import atomic_write

Pixels = UInt8[np.ndarray, "height width 3"]
"""A picture."""
FOLDER = "pictures"
"""Of a run's pictures, in its own."""
KEPT = 20
"""How many pictures of one name stay in a run's folder: those of the last steps. TensorBoard has all of them."""


def has_gallery(trainer: pl.Trainer) -> bool:
    """Whether this process has a place for pictures; where a run has none, that is said once."""
    if not trainer.loggers:
        say_lost(trainer, "pictures and histograms are not kept: they go to the folder of a logger")
    return trainer.is_global_zero and (run_folder(trainer) is not None or silent_tensorboard(trainer) is not None)


def show(trainer: pl.Trainer, split: str, name: str, picture: Pixels | Figure) -> None:
    """Give TensorBoard the image `{split}/{name}`, and write `pictures/{split}-{name}-{step}.png`.

    The last of a name is the last in the order of the files' names. A run that goes on from an earlier step replaces
    what was drawn after it, so that its pictures are those of a run that nothing interrupted.
    """
    pixels, step = render(picture) if isinstance(picture, Figure) else picture, logged_step(trainer)
    png = compressed(pixels)
    if writer := silent_tensorboard(trainer):
        # as its add_image does, which would compress it once more
        image = Summary.Image(height=len(pixels), width=pixels.shape[1], colorspace=3, encoded_image_string=png)
        writer._get_file_writer().add_summary(Summary(value=[Summary.Value(tag=f"{split}/{name}", image=image)]), step)
    if trainer.is_global_zero and (folder := run_folder(trainer)) is not None:
        target = folder / FOLDER / f"{split}-{name}-{step:08}.png"
        with atomic_write(target) as file:
            file.write(png)
        _tidy(target, trainer.state.fn == "fit")


def run_folder(trainer: pl.Trainer) -> Path | None:
    """The folder of this run, as the process knows it that logs; None for a run without a logger, and a dry one."""
    if not trainer.loggers:
        return None
    logger = trainer.loggers[0]
    folder = logger.log_dir if isinstance(logger, TensorBoardLogger | CSVLogger) else logger.save_dir
    return Path(folder) if folder is not None else None


def render(figure: Figure) -> Pixels:
    """A figure's pixels."""
    canvas: Any = FigureCanvasAgg(figure)  # without annotations
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3].copy()


def compressed(pixels: Pixels) -> bytes:
    """A picture as a PNG file."""
    file = BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def _tidy(newest: Path, trains: bool) -> None:
    """Remove what was drawn after this one, if the run went back to before it, and what is older than the last few."""
    name = newest.stem.rpartition("-")[0]
    same = sorted(newest.parent.glob(f"{name}-{'[0-9]' * 8}.png"))
    later = [path for path in same if path > newest] if trains else []
    earlier = [path for path in same if path not in later]
    for path in (*later, *earlier[:-KEPT]):
        path.unlink(missing_ok=True)
