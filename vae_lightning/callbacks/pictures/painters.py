"""painter: the shape of an observation -> how strips of them are drawn."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from torch import Size, Tensor

from vae_lightning.callbacks.gallery import Pixels, render
from vae_lightning.callbacks.pictures.curves import paint_curves
from vae_lightning.callbacks.pictures.images import paint_images
from vae_lightning.callbacks.pictures.plane import paint_plane
from vae_lightning.callbacks.pictures.strips import Strips

Painter = Callable[[Strips, Tensor], Pixels]
"""Draws strips of observations of one shape; (N, *X) are observations to see them beside, where there is room."""


def painter(event_shape: Size, limits: tuple[float, float] = (0.0, 1.0)) -> Painter:
    """Images for (1, H, W) and (3, H, W), a plane for (2,), curves for (d,) with d > 2; else TypeError.

    Of images, the lower of the limits is black and the upper one white.
    """
    match tuple(event_shape):
        case (1 | 3, _, _) if limits != (0.0, 1.0):
            low, high = limits
            return lambda strips, data: paint_images(
                replace(strips, rows=[(row - low) / (high - low) for row in strips.rows]), data
            )
        case (1 | 3, _, _):
            return paint_images
        case (2,):
            return lambda strips, data: render(paint_plane(strips, data))
        case (int(d),) if d > 2:
            return lambda strips, data: render(paint_curves(strips))
    raise TypeError(
        "pictures are made of observations (1, H, W) or (3, H, W), images, (2,), points of a plane, or (d,), curves of "
        f"d > 2 values; these are {tuple(event_shape)}"
    )
