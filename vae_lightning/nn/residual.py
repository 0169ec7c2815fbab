"""Residual networks of the DCGAN's interface: codes -> images in [-1, 1], and images -> a logit or parameters."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from math import prod

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import leaky_relu

from vae_lightning.construction.arguments import check_kinds
from vae_lightning.nn.dcgan import SMALLEST, batched, doubled, doublings, heads, painted

SLOPE = 0.2  # of leaky ReLU below 0
SHARE = 0.1  # of what a block adds to its input


class ResidualBlock(nn.Module):
    """h -> shortcut(h) + 0.1 f(h), f two convolutions 3 x 3, each after leaky ReLU; the sides stay.

    Examples:
        >>> import torch
        >>> from vae_lightning.nn import ResidualBlock
        >>> ResidualBlock(8, 16)(torch.rand(2, 8, 4, 4)).shape
        torch.Size([2, 16, 4, 4])
    """

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        between = min(inputs, outputs)
        self.first, self.second = nn.Conv2d(inputs, between, 3, padding=1), nn.Conv2d(between, outputs, 3, padding=1)
        self.shortcut = nn.Identity() if inputs == outputs else nn.Conv2d(inputs, outputs, 1, bias=False)

    def forward(self, h: Float[Tensor, "B C H W"]) -> Float[Tensor, "B c H W"]:
        """(B, C, H, W) -> (B, c, H, W)."""
        added = self.second(leaky_relu(self.first(leaky_relu(h, SLOPE)), SLOPE))
        return self.shortcut(h) + SHARE * added


class ResidualGenerator(nn.Module):
    """Code -> image in [-1, 1], flat: a linear map to 4 x 4, then a `ResidualBlock` before each doubling and one more.

    It has no normalisation, so that an image does not depend on the others of its batch. Maps are halved when sides
    are doubled, down to `width`, and are at most `most`. Weights start as torch has them.
    ValueError unless the image is a square whose side is a power of two, 8 or more, and the outputs are its pixels.
    Source: Mescheder, Geiger and Nowozin, Which training methods for GANs do actually converge? (2018), appendix.

    Args:
        context_shape: (*Z), bound by the Conditional.
        num_outputs: one for each pixel and channel, bound by the Conditional; a scale is `nn.SharedScale`'s.
        width: maps at the image's full size.
        most: maps at the smallest sizes, at most.
        image_shape: (C, H, W), only where the observation is flat, or there is no Conditional.

    Examples:
        >>> import torch
        >>> from vae_lightning.nn import ResidualGenerator
        >>> ResidualGenerator((100,), 3 * 32 * 32, 8, image_shape=(3, 32, 32))(torch.randn(2, 100)).shape
        torch.Size([2, 3072])
    """

    def __init__(
        self,
        context_shape: Sequence[int],
        num_outputs: int,
        width: int = 64,
        most: int = 512,
        image_shape: Sequence[int] | None = None,
    ) -> None:
        check_kinds(ResidualGenerator, locals())
        super().__init__()
        image = painted(num_outputs, image_shape, type(self))
        widths = doubled(width, 1 + doublings(image, type(self)), most)[::-1]
        self.context_dims, self.start_shape = len(context_shape), (widths[0], SMALLEST, SMALLEST)
        self.start = nn.Linear(prod(context_shape), prod(self.start_shape))
        self.hidden = nn.Sequential()
        for inputs, outputs in pairwise(widths):
            self.hidden.append(ResidualBlock(inputs, outputs)).append(nn.Upsample(scale_factor=2))
        self.hidden.append(ResidualBlock(width, width)).append(nn.LeakyReLU(SLOPE))
        self.output = nn.Conv2d(width, image[0], 3, padding=1)

    def forward(self, c: Float[Tensor, "*batch_and_context"]) -> Float[Tensor, "*batch outputs"]:
        """(*B, *Z) -> (*B, C H W)."""
        batch = c.shape[: c.ndim - self.context_dims]
        start = self.start(c.reshape(-1, self.start.in_features)).unflatten(1, self.start_shape)
        return self.output(self.hidden(start)).tanh().reshape(*batch, -1)


class ResidualDiscriminator(nn.Module):
    """Image -> the logit of being real: a convolution, a `ResidualBlock` and one before each halving, a linear map.

    It has no normalisation and wants a penalty of its gradient, as R1 is. Maps are doubled when sides are halved, from
    `width` up to `most`. ValueError unless the image is a square whose side is a power of two, 8 or more.
    Source: as `ResidualGenerator`.

    Args:
        context_shape: (C, H, W) of an image.
        num_outputs: 1 for a logit.
        width: maps at the image's full size.
        most: maps at the smallest sizes, at most.

    Examples:
        >>> import torch
        >>> from vae_lightning.nn import ResidualDiscriminator
        >>> ResidualDiscriminator((3, 32, 32), 1, width=8)(torch.rand(2, 3, 32, 32)).shape
        torch.Size([2, 1])
    """

    def __init__(self, context_shape: Sequence[int], num_outputs: int = 1, width: int = 64, most: int = 512) -> None:
        check_kinds(ResidualDiscriminator, locals())
        super().__init__()
        self.body, features = _halving(context_shape, width, most, type(self))
        self.image_shape = tuple(context_shape)
        self.output = nn.Linear(features, num_outputs)

    def forward(self, c: Float[Tensor, "*batch channels height width"]) -> Float[Tensor, "*batch outputs"]:
        """(*B, C, H, W) -> (*B, P)."""
        return self.output(self.body(batched(c, self.image_shape))).reshape(*c.shape[:-3], -1)


class ResidualEncoder(nn.Module):
    """Image -> (mean, log sigma) of a `families.Normal` code: the body of `ResidualDiscriminator` with two heads.

    A family of fixed scale has the first head alone, and any other number of outputs is one head. ValueError unless
    the image is a square whose side is a power of two, 8 or more.

    Args:
        context_shape: (C, H, W) of an image, bound by the Conditional.
        num_outputs: the parameters of the code, bound by the Conditional.
        width: maps at the image's full size.
        most: maps at the smallest sizes, at most.

    Examples:
        >>> import torch
        >>> from vae_lightning.conditional import Conditional
        >>> from vae_lightning.families import Normal
        >>> from vae_lightning.nn import ResidualEncoder
        >>> encoder = Conditional(Normal(10), (3, 32, 32), lambda c, p: ResidualEncoder(c, p, width=8))
        >>> encoder(torch.rand(2, 3, 32, 32)).event_shape
        torch.Size([10])
    """

    def __init__(self, context_shape: Sequence[int], num_outputs: int, width: int = 64, most: int = 512) -> None:
        check_kinds(ResidualEncoder, locals())
        super().__init__()
        self.body, features = _halving(context_shape, width, most, type(self))
        self.image_shape = tuple(context_shape)
        self.heads = nn.ModuleList(nn.Linear(features, size) for size in heads(num_outputs))

    def forward(self, c: Float[Tensor, "*batch channels height width"]) -> Float[Tensor, "*batch outputs"]:
        """(*B, C, H, W) -> (*B, P)."""
        hidden = self.body(batched(c, self.image_shape))
        return torch.cat([head(hidden) for head in self.heads], 1).reshape(*c.shape[:-3], -1)


def _halving(image: Sequence[int], width: int, most: int, network: type) -> tuple[nn.Sequential, int]:
    """From the image to the numbers of 4 x 4, and how many these are."""
    widths = doubled(width, 1 + doublings(image, network), most)
    body = nn.Sequential(nn.Conv2d(image[0], width, 3, padding=1), ResidualBlock(width, width))
    for inputs, outputs in pairwise(widths):
        body.append(nn.AvgPool2d(2)).append(ResidualBlock(inputs, outputs))
    body.append(nn.LeakyReLU(SLOPE)).append(nn.Flatten())
    return body, widths[-1] * SMALLEST**2
