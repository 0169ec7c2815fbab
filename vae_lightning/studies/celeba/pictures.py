"""Images that cells have left -> the paper's Figures 3 and 4: reconstructions, and equal codes through all decoders."""

from __future__ import annotations

from collections.abc import Mapping

from matplotlib.figure import Figure
from torch import Tensor

from vae_lightning.studies.celeba.cell import ENCODER, Cell
from vae_lightning.studies.celeba.results import Result

INCHES = 1.0  # of an image


def pictures_of(found: Mapping[Cell, Result]) -> dict[str, Figure]:
    """Figure 3 of every model, and Figure 4 of the means of p(x | z) and of its samples."""
    shown = {cell: result.pictures for cell, result in found.items() if "from_means" in result.pictures}
    pictures = {
        f"figure-3-{cell.path}": grid({
            "images x": images["images"],
            "at the mean of q(z | x)": images["from_means"],
            "at a sample of it": images["from_samples"],
        })
        for cell, images in shown.items()
    }  # fmt: skip
    decoders = {cell: images for cell, images in shown.items() if cell == ENCODER or cell.joint}
    named = {"ground truth" if cell == ENCODER else cell.name: images for cell, images in decoders.items()}
    if named:
        pictures["figure-4"] = grid({name: images["means"] for name, images in named.items()})
        pictures["figure-4-with-noise"] = grid({name: images["samples"] for name, images in named.items()})
    return pictures


def grid(rows: Mapping[str, Tensor]) -> Figure:
    """A row of images in [-1, 1] for each name."""
    columns = max(map(len, rows.values()))
    picture = Figure(figsize=(INCHES * columns + 2, INCHES * len(rows) + 0.1), layout="constrained")
    axes = picture.subplots(len(rows), columns, squeeze=False)
    for line, (name, images) in zip(axes, rows.items(), strict=True):
        for place, image in zip(line, images, strict=False):
            place.imshow(((image + 1) / 2).clamp(0, 1).permute(1, 2, 0).numpy(), interpolation="nearest")
        for place in line:
            place.set(xticks=[], yticks=[])
            place.set_frame_on(False)
        line[0].set_ylabel(name, rotation=0, ha="right", va="center")
    return picture
