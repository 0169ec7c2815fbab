"""one_pixel: a family of images -> that of a single pixel."""

from __future__ import annotations

import functools

from vae_lightning.families.base import ExponentialFamily
from vae_lightning.families.bernoulli import Bernoulli
from vae_lightning.families.normal import Normal


@functools.singledispatch
def one_pixel(family: ExponentialFamily) -> ExponentialFamily:
    """The family of a pixel of images (C, H, W) of this one, shape (C,); TypeError for other than bits and Gaussians.

    Parameters of an image are maps of its size, one after another; those of a pixel are what the maps say there.
    """
    raise TypeError(
        f"an autoregressive decoder draws pixel by pixel, of the families Bernoulli and Normal; got {family!r}"
    )


@one_pixel.register
def _(family: Bernoulli) -> ExponentialFamily:
    return Bernoulli(family.event_shape[0], family.intensities)


@one_pixel.register
def _(family: Normal) -> ExponentialFamily:
    return Normal(family.event_shape[0], family.scale)
