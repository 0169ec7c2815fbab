"""GroundTruth: a key and numbers -> codes and images of p*(x, z), each a function of the key and its number alone."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

import torch
from jaxtyping import Float, Int64, Shaped
from torch import Size, Tensor

from vae_lightning.conditional import Conditional
from vae_lightning.randomness import derive_seed
from vae_lightning.studies.celeba.cell import SIGMA

ROWS = 64  # decoded at once


class GroundTruth:
    """p*(z) = N(0, I), p*(x | z) of a trained decoder: as many images as are asked for, drawn when they are.

    As the view of a data module it makes images of their ids: other ones in every training epoch, and in evaluation
    always the same.

    Args:
        decoder: p*(x | z); taken in evaluation mode, and held.
        seed: of all that is drawn.
    """

    limits: ClassVar[tuple[float, float]] = (-1 - 6 * SIGMA, 1 + 6 * SIGMA)  # but for one pixel in a billion

    def __init__(self, decoder: Conditional, seed: int) -> None:
        self.decoder, self.seed = decoder.eval().requires_grad_(False), seed

    def __call__(
        self, stored: Shaped[Tensor, "B 0"], ids: Int64[Tensor, " B"], draw: int | None = None
    ) -> Float[Tensor, "B C H W"]:
        """Images of these ids."""
        return torch.cat([self.images(rows, draw or 0) for rows in ids.split(ROWS)])

    @torch.no_grad()
    def images(self, ids: Int64[Tensor, " B"], key: int | str) -> Float[Tensor, "B C H W"]:
        """x ~ p*(x), on the decoder's device."""
        p = self.decoder(self.codes(ids, key))
        return p.mean + p.stddev * self._noise(ids, p.event_shape, key, "noise").to(p.mean)

    def codes(self, ids: Int64[Tensor, " B"], key: int | str) -> Float[Tensor, "B latent"]:
        """The codes of these images."""
        like = next(self.decoder.parameters())
        return self._noise(ids, self.decoder.context_shape, key, "code").to(like)

    def code_batches(self, num: int, key: str) -> Iterator[Float[Tensor, "B latent"]]:
        """The codes of so many images."""
        return (self.codes(ids, key) for ids in torch.arange(num).split(ROWS))

    def image_batches(self, num: int, key: str) -> Iterator[Float[Tensor, "B C H W"]]:
        """So many images."""
        return (self.images(ids, key) for ids in torch.arange(num).split(ROWS))

    def _noise(self, ids: Tensor, shape: Size, *keys: int | str) -> Tensor:
        seeds = (derive_seed(self.seed, "ground truth", *keys, number) for number in ids.tolist())
        return torch.stack([torch.randn(shape, generator=torch.Generator().manual_seed(seed)) for seed in seeds])
