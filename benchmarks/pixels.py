"""Images drawn pixel by pixel by `nn.PixelCNN`: by its cache, and by the whole network for each pixel, in seconds.

    OMP_NUM_THREADS=1 python benchmarks/pixels.py

Both draw the same pixels of the same noise. Where the naive way would take minutes it draws some pixels, and is taken
times what an image has of them. `one evaluation` is log p(x | z) of as many images, which no way can do without.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from functools import partial

import torch
from comparisons import AsFast, Comparison, Contestants, Row, Share, in_turns, main, timed
from torch import Tensor

from vae_lightning.decoders import Autoregressive
from vae_lightning.decoders.autoregressed import Autoregressed
from vae_lightning.distributions import sample
from vae_lightning.families import Bernoulli
from vae_lightning.nn import PixelCNN
from vae_lightning.randomness import Noise

PIXELS = 8  # of an image, that the naive way draws
AIMS = {1: 2.0, 64: 10.0}  # by images at a time: of one, most is the cost of calling torch


@torch.no_grad()
def naive(p: Autoregressed, decoder: Autoregressive, pixels: int) -> Tensor:
    """The first so many pixels of images, with an evaluation of the network for each."""
    x = torch.zeros(p.batch_shape + p.event_shape)
    for place in range(pixels):
        i, j = divmod(place, x.shape[-1])
        theta = decoder.network(x, p.maps).unflatten(1, (-1, *x.shape[-2:]))[..., i, j]
        x[..., i, j] = sample(p.pixel.member(theta), 1, Noise())[0]
    return x


def pixels(asked: argparse.Namespace) -> Iterator[Row]:
    """Digits of 8 x 8 and of 28 x 28, one and 64 at a time."""
    for side in (8, 28):
        torch.manual_seed(0)
        decoder = Autoregressive(Bernoulli((1, side, side)), (16,), PixelCNN)
        for number, aim in AIMS.items():
            with torch.no_grad():
                p = decoder(torch.randn(number, 16))
                x = p.sample()
            ways: Contestants = {
                "the cache": timed(p.sample, unit=1.0),
                "the whole network": timed(partial(naive, p, decoder, PIXELS), unit=side**2 / PIXELS),
                "one evaluation": timed(torch.no_grad()(partial(p.log_prob, x)), unit=1.0),
            }
            costs = in_turns(ways, 1 if asked.quick else 5)
            what = f"images of {side} x {side} drawn pixel by pixel, {number} at a time"
            yield Comparison(what, "the cache", "the whole network", AsFast(aim), "s").row(costs)
            yield Comparison(what, "the cache", "one evaluation", Share(), "s").row(costs)


if __name__ == "__main__":
    main({"pixels": pixels}, __doc__)
