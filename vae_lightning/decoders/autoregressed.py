"""Autoregressed: a network of x and z, and a family -> the distribution of x, entry by entry."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

import torch
import torch.distributions as td
from jaxtyping import Float
from torch import Size, Tensor

from vae_lightning.distributions import drawn_in_order, sample
from vae_lightning.families import ExponentialFamily
from vae_lightning.families.pixels import one_pixel
from vae_lightning.nn import Causal
from vae_lightning.randomness import Noise, Source, drawing_from

_DRAWN = 64  # images that the mean is taken over
_NUMBERS = 2**19  # entries of images at once where no gradient is wanted; layers have some dozen features of each


class Autoregressed(td.Distribution):
    """p(x | z) = prod_i p(x_i | x_<i, z), of batch shape (*B) and event shape (C, H, W).

    `log_prob` is one pass of the network. `sample` goes pixel by pixel and draws from nothing but `Noise`. The mean
    E[x | z] has no closed form: it is that of 64 draws under noise that is always the same, an average over them of
    each pixel's mean given those before it. Its error is at most 1 / 16 for a bit, and much less where z tells most.

    Args:
        family: of an entry given those before it, as the family of images that it would be if they were independent.
        network: x and maps of z to parameters.
        maps: (*B, *M), what z says.
    """

    arg_constraints = {}  # noqa: RUF012  (torch's own convention)
    has_rsample = False

    def __init__(self, family: ExponentialFamily, network: Causal, maps: Float[Tensor, "*batch_and_maps"]) -> None:
        self.family, self.network, self.maps = family, network, maps
        self.pixel = one_pixel(family)
        super().__init__(maps.shape[:-3], family.event_shape, validate_args=False)

    @property
    def support(self) -> Any:
        """That of the family."""
        return self.family.member(self.maps.new_zeros(self.family.num_parameters)).support

    def given(self, x: Tensor) -> td.Distribution:
        """prod_i p(x_i | x_<i, z) with the x that condition held: independent entries, batch shape that of x and z."""
        shape = torch.broadcast_shapes(x.shape[:-3], self.batch_shape)
        rows, maps = _rows(x.to(self.maps), shape), _rows(self.maps, shape)
        if torch.is_grad_enabled():
            theta = self.network(rows, maps)
        else:
            at_once = max(1, _NUMBERS // prod(self.event_shape))
            pieces = zip(rows.split(at_once), maps.split(at_once), strict=True)
            theta = torch.cat([self.network(*piece) for piece in pieces])
        return self.family.member(theta.to(torch.promote_types(theta.dtype, torch.float32)).reshape(*shape, -1))

    def log_prob(self, x: Tensor) -> Float[Tensor, "..."]:
        """(*S, *X) -> (*S) with the batch shape broadcast, in nats."""
        return self.given(x).log_prob(x)

    def sample(self, sample_shape: Any = ()) -> Tensor:
        """(*S, *B, *X), with no gradient."""
        shape = Size(sample_shape) + self.batch_shape
        noise, maps = Noise(), self.maps.to(torch.promote_types(self.maps.dtype, torch.float32))

        def draw(theta: Tensor) -> Tensor:
            return sample(self.pixel.member(theta.reshape(*shape, -1)), 1, noise)[0].reshape(len(theta), -1)

        with torch.no_grad(), torch.autocast(self.maps.device.type, enabled=False):
            return self.network.generate(_rows(maps, shape), draw).reshape(shape + self.event_shape)

    @property
    def mean(self) -> Tensor:
        """E[x | z], (*B, *X), by draws under the same noise; of so many rows at a time as there is room for."""
        at_once = max(1, _NUMBERS // (_DRAWN * prod(self.event_shape)))
        parts = self.maps.reshape(-1, *self.maps.shape[-3:]).split(at_once)
        means = [Autoregressed(self.family, self.network, part)._drawn_mean() for part in parts]
        return torch.cat(means).reshape(self.batch_shape + self.event_shape)

    def _drawn_mean(self) -> Tensor:
        """That of rows (B, *M)."""
        with torch.no_grad(), drawing_from(_OfEachDraw()):
            return self.given(self.sample(Size([_DRAWN]))).mean.mean(0)


@drawn_in_order.register
def _(p: Autoregressed) -> bool:
    return True


class _OfEachDraw(Source):
    """Noise under a seed of its own that is the same for all rows of a batch, so that none depends on the others."""

    def __init__(self) -> None:
        self.generator = torch.Generator().manual_seed(0)

    def uniform(self, shape: Sequence[int], like: Tensor) -> Tensor:
        """U(0, 1)."""
        return torch.rand(self._alike(shape), generator=self.generator).to(like).expand(*shape)

    def normal(self, shape: Sequence[int], like: Tensor) -> Tensor:
        """N(0, 1)."""
        return torch.randn(self._alike(shape), generator=self.generator).to(like).expand(*shape)

    def _alike(self, shape: Sequence[int]) -> list[int]:
        """One for all of the batch: shape is (1, draws, B, C)."""
        return [*shape[:2], 1, *shape[3:]]


def _rows(x: Tensor, shape: Size) -> Tensor:
    """(*S, *X) -> (N, *X), broadcast to a batch of this shape."""
    return x.expand(*shape, *x.shape[-3:]).reshape(-1, *x.shape[-3:])
