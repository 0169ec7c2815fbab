"""Strips of gray or RGB images -> one picture, every pixel as it is."""

from __future__ import annotations

import math
import textwrap

import numpy as np
import torch
from jaxtyping import Float
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor
from torch.nn.functional import interpolate, pad
from torchvision.utils import make_grid

from vae_lightning.callbacks.gallery import Pixels
from vae_lightning.callbacks.pictures.strips import Strips

TILE = 48
"""Pixels: smaller images are enlarged by a whole factor until their longer side has as many."""
CARD = 300, 205
"""Pixels, width and height: TensorBoard's time series scale a picture to these, until one clicks on it."""
FONT = 12
"""Pixels: the size of letters in a card."""
NARROWEST = 35
"""Letters: a picture is wide enough for so many of its title."""


def paint_images(strips: Strips, data: Tensor) -> Pixels:
    """Strips of at most two images stand upright, eight or more beside each other; longer ones are rows.

    Values are clamped to [0, 1], from black to white. Drawn without matplotlib, which takes about twice as long.
    """
    length = max(map(len, strips.rows))
    upright = length <= 2
    bands = [_band(row, length, upright) for row in strips.rows]
    per_row = max(8, math.isqrt(len(bands) - 1) + 1) if upright else 1
    font = _font_size(bands, per_row)
    line, letter = 4 * font // 3, font // 2
    gap = line if upright and strips.labels else 4
    grid = make_grid(bands, nrow=per_row, padding=gap, pad_value=1)
    if len(bands) == 1:
        grid = pad(grid, [gap] * 4, value=1)  # make_grid leaves a single one without
    left = 0 if upright or not strips.labels else letter * max(map(len, strips.labels)) + 4
    width = max(grid.shape[2] + left, NARROWEST * letter)
    title = textwrap.wrap(strips.title, width // letter)
    top = line * len(title) + 8
    texts = [("\n".join(title), 4, 4)]
    high, wide = (size + gap for size in bands[0].shape[1:])
    for k, label in enumerate(strips.labels):
        x, y = k % per_row * wide, top + k // per_row * high
        texts.append((label, x + gap, y) if upright else (label, 4, y + (high - line) // 2))
    return _written(pad(grid, (left, width - left - grid.shape[2], top, 0), value=1), texts, font)


def _font_size(bands: list[Tensor], per_row: int) -> int:
    """Pixels, so that letters can be read when the picture is scaled to TensorBoard's card."""
    across, down = min(per_row, len(bands)), -(-len(bands) // per_row)
    height, width = bands[0].shape[1:]
    return round(FONT * max(1, across * (width + 4) / CARD[0], down * (height + 4) / CARD[1]))


def _band(row: Float[Tensor, "L channels height width"], length: int, upright: bool) -> Tensor:
    """One strip as an image (3, H, W), with white in place of what it is shorter than the others."""
    images = row.detach().float().cpu().clamp(0, 1)
    zoom = max(1, math.ceil(TILE / max(images.shape[2:])))
    images = pad(interpolate(images, scale_factor=zoom), [0] * 7 + [length - len(images)], value=1)
    return make_grid(images, nrow=1 if upright else length, padding=1, pad_value=1)


def _written(picture: Float[Tensor, "3 height width"], texts: list[tuple[str, int, int]], size: int) -> Pixels:
    """The picture with texts whose upper left corners are at x, y."""
    image = Image.fromarray((picture * 255).round().to(torch.uint8).permute(1, 2, 0).contiguous().numpy())
    canvas, font = ImageDraw.Draw(image), ImageFont.load_default(size)
    for text, x, y in texts:
        canvas.text((x, y), text, fill="black", font=font)
    return np.asarray(image)
