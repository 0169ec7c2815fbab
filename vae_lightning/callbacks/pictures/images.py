"""Strips of gray or RGB images -> one picture, every pixel as it is."""

from __future__ import annotations

import math
import textwrap

import torch
from jaxtyping import Float
from matplotlib.figure import Figure
from torch import Tensor
from torch.nn.functional import interpolate, pad
from torchvision.utils import make_grid

from vae_lightning.callbacks.pictures.strips import Strips

DPI = 100
TILE = 48
"""Pixels: smaller images are enlarged by a whole factor until their longer side has as many."""
LINE, LETTER = 16, 6
"""Pixels of a line and of a letter of text."""
NARROWEST = 420
"""Pixels: a picture is wide enough for its title."""


def paint_images(strips: Strips, data: Tensor) -> Figure:
    """Strips of at most two images stand upright, eight or more beside each other; longer ones are rows.

    Values are clamped to [0, 1], from black to white.
    """
    length = max(map(len, strips.rows))
    upright = length <= 2
    bands = [_band(row, length, upright) for row in strips.rows]
    per_row = max(8, math.isqrt(len(bands) - 1) + 1) if upright else 1
    gap = LINE if upright and strips.labels else 4
    grid = make_grid(bands, nrow=per_row, padding=gap, pad_value=1)
    if len(bands) == 1:
        grid = pad(grid, [gap] * 4, value=1)  # make_grid leaves a single one without
    left = 0 if upright else LETTER * max(map(len, strips.labels), default=0)
    title = textwrap.wrap(strips.title, max(grid.shape[2] + left, NARROWEST) // LETTER)
    canvas = _Canvas(grid, left, top=LINE * len(title) + 8)
    canvas.write("\n".join(title), 4, 4)
    height, width = (size + gap for size in bands[0].shape[1:])
    for k, label in enumerate(strips.labels):
        x, y = k % per_row * width, canvas.top + k // per_row * height
        canvas.write(label, *((x + gap, y + 2) if upright else (4, y + (height - LINE) // 2)))
    return canvas.figure


def _band(row: Float[Tensor, "L channels height width"], length: int, upright: bool) -> Tensor:
    """One strip as an image (3, H, W), with white in place of what it is shorter than the others."""
    images = row.detach().float().cpu().clamp(0, 1)
    zoom = max(1, math.ceil(TILE / max(images.shape[2:])))
    images = pad(interpolate(images, scale_factor=zoom), [0] * 7 + [length - len(images)], value=1)
    return make_grid(images, nrow=1 if upright else length, padding=1, pad_value=1)


class _Canvas:
    """A figure with a grid of pixels in its lower left corner, and text at places counted in pixels from the top."""

    def __init__(self, grid: Float[Tensor, "3 height width"], left: int, top: int) -> None:
        self.left, self.top = left, top
        self.width, self.height = max(left + grid.shape[2], NARROWEST), top + grid.shape[1]
        # half a pixel more: the size in inches times the dots per inch is rounded down
        self.figure = Figure(((self.width + 0.5) / DPI, (self.height + 0.5) / DPI), DPI)
        self.figure.figimage((grid * 255).round().to(torch.uint8).permute(1, 2, 0).numpy(), left, 0, origin="upper")

    def write(self, text: str, x: int, y: int) -> None:
        """Text whose upper left corner is here."""
        self.figure.text(x / self.width, 1 - y / self.height, text, fontsize=8, va="top", parse_math=False)
