"""DCGAN: codes -> images in [-1, 1], and images -> a logit or a code's parameters, at any power-of-two size."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from math import prod

import torch
from jaxtyping import Float
from torch import Tensor, nn

from vae_lightning.construction.arguments import check_kinds
from vae_lightning.nn.outputs import Outputs, image_of

SMALLEST = 4  # the side of the image that a generator begins with, and that a discriminator's body ends with


class DCGANGenerator(nn.Module):
    """Code -> image in [-1, 1], flat: five transposed convolutions for 64 x 64, with batch normalisation and ReLU.

    The first makes 4 x 4 of the code; each of the others doubles the sides and halves the maps, of which there are
    `width` before the last, whose tanh gives the pixels. Weights start at N(0, 0.02^2), those of the normalisation at
    N(1, 0.02^2). For 3 x 64 x 64 and 100 latents these are layer by layer the 3,576,704 parameters of the tutorial.
    ValueError unless the image is a square whose side is a power of two, 8 or more, and the outputs are its pixels.
    Source: Radford, Metz and Chintala, Unsupervised representation learning with DCGANs (2016); N. Inkawhich, DCGAN
    tutorial (2017).

    Args:
        context_shape: (*Z), bound by the Conditional.
        num_outputs: one for each pixel and channel, bound by the Conditional; a scale is `nn.SharedScale`'s.
        width: maps before the last layer.
        image_shape: (C, H, W), only where the observation is flat, or there is no Conditional.

    Examples:
        >>> import torch
        >>> from vae_lightning.nn import DCGANGenerator
        >>> generator = DCGANGenerator((100,), 3 * 64 * 64, image_shape=(3, 64, 64))
        >>> generator(torch.randn(2, 100)).shape, sum(p.numel() for p in generator.parameters())
        (torch.Size([2, 12288]), 3576704)
    """

    def __init__(
        self,
        context_shape: Sequence[int],
        num_outputs: int,
        width: int = 64,
        image_shape: Sequence[int] | None = None,
    ) -> None:
        check_kinds(DCGANGenerator, locals())
        super().__init__()
        image = painted(num_outputs, image_shape, type(self))
        widths = doubled(width, doublings(image, type(self)))[::-1]
        self.context_dims, self.latent_dim = len(context_shape), prod(context_shape)
        self.start = nn.ConvTranspose2d(self.latent_dim, widths[0], SMALLEST, bias=False)
        self.hidden = nn.Sequential(nn.BatchNorm2d(widths[0]), nn.ReLU())
        for inputs, outputs in pairwise(widths):
            self.hidden.append(nn.ConvTranspose2d(inputs, outputs, 4, stride=2, padding=1, bias=False))
            self.hidden.append(nn.BatchNorm2d(outputs)).append(nn.ReLU())
        self.output = nn.ConvTranspose2d(widths[-1], image[0], 4, stride=2, padding=1, bias=False)
        self.apply(begin)

    def forward(self, c: Float[Tensor, "*batch_and_context"]) -> Float[Tensor, "*batch outputs"]:
        """(*B, *Z) -> (*B, C H W)."""
        batch = c.shape[: c.ndim - self.context_dims]
        image = self.output(self.hidden(self.start(c.reshape(-1, self.latent_dim, 1, 1))))
        return image.tanh().reshape(*batch, -1)


class DCGANDiscriminator(nn.Module):
    """Image -> the logit of being real: five convolutions for 64 x 64, with batch normalisation and leaky ReLU.

    Each but the last halves the sides and doubles the maps, from `width`, until 4 x 4 is left, which the last takes
    whole. The first has no normalisation, and weights start as the generator's. For 3 x 64 x 64 these are layer by
    layer the 2,765,568 parameters of the tutorial, whose sigmoid belongs to the loss here.
    ValueError unless the image is a square whose side is a power of two, 8 or more. Source: as `DCGANGenerator`.

    Args:
        context_shape: (C, H, W) of an image.
        num_outputs: 1 for a logit.
        width: maps after the first layer.

    Examples:
        >>> import torch
        >>> from vae_lightning.nn import DCGANDiscriminator
        >>> discriminator = DCGANDiscriminator((3, 64, 64), 1)
        >>> discriminator(torch.rand(2, 3, 64, 64)).shape, sum(p.numel() for p in discriminator.parameters())
        (torch.Size([2, 1]), 2765568)
    """

    def __init__(self, context_shape: Sequence[int], num_outputs: int = 1, width: int = 64) -> None:
        check_kinds(DCGANDiscriminator, locals())
        super().__init__()
        self.body, features = _halving(context_shape, width, type(self))
        self.image_shape = tuple(context_shape)
        self.output = nn.Conv2d(features, num_outputs, SMALLEST, bias=False)
        self.apply(begin)

    def forward(self, c: Float[Tensor, "*batch channels height width"]) -> Float[Tensor, "*batch outputs"]:
        """(*B, C, H, W) -> (*B, P)."""
        return self.output(self.body(batched(c, self.image_shape))).reshape(*c.shape[:-3], -1)


class DCGANEncoder(nn.Module):
    """Image -> (mean, log sigma) of a `families.Normal` code: the body of `DCGANDiscriminator` with two heads.

    Each head is a convolution of the 4 x 4 that are left, with a bias; a family of fixed scale has the first alone, and
    any other number of outputs is one head. ValueError unless the image is a square whose side is a power of two, 8 or
    more.

    Args:
        context_shape: (C, H, W) of an image, bound by the Conditional.
        num_outputs: the parameters of the code, bound by the Conditional.
        width: maps after the first layer.

    Examples:
        >>> import torch
        >>> from vae_lightning.conditional import Conditional
        >>> from vae_lightning.families import Normal
        >>> from vae_lightning.nn import DCGANEncoder
        >>> encoder = Conditional(Normal(100), (3, 64, 64), DCGANEncoder)
        >>> encoder(torch.rand(2, 3, 64, 64)).event_shape, [head.out_channels for head in encoder.network.heads]
        (torch.Size([100]), [100, 100])
    """

    def __init__(self, context_shape: Sequence[int], num_outputs: int, width: int = 64) -> None:
        check_kinds(DCGANEncoder, locals())
        super().__init__()
        self.body, features = _halving(context_shape, width, type(self))
        self.image_shape = tuple(context_shape)
        self.heads = nn.ModuleList(nn.Conv2d(features, size, SMALLEST) for size in heads(num_outputs))
        self.apply(begin)

    def forward(self, c: Float[Tensor, "*batch channels height width"]) -> Float[Tensor, "*batch outputs"]:
        """(*B, C, H, W) -> (*B, P)."""
        hidden = self.body(batched(c, self.image_shape))
        return torch.cat([head(hidden) for head in self.heads], 1).reshape(*c.shape[:-3], -1)


def begin(module: nn.Module) -> None:
    """The tutorial's initialisation of a layer."""
    if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
        nn.init.normal_(module.weight, 0.0, 0.02)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
    elif isinstance(module, nn.BatchNorm2d):
        nn.init.normal_(module.weight, 1.0, 0.02)


def doublings(image: Sequence[int], network: type) -> int:
    """How often 4 doubles to the image's side; ValueError unless it is a square of a power of two from 8 on."""
    side = image[-1] if image else 0
    if len(image) != 3 or image[1] != side or side < 2 * SMALLEST or side & (side - 1):
        raise ValueError(
            f"{network.__name__} needs square images (C, H, W) whose side is a power of two from {2 * SMALLEST} on, "
            f"got {tuple(image)}: resize them, as by data.size 64"
        )
    return (side // SMALLEST).bit_length() - 1


def doubled(width: int, times: int, most: int | None = None) -> list[int]:
    """`width`, twice that, and so on, up to `most`; ValueError for no width."""
    if width < 1:
        raise ValueError(f"width must be a positive number of maps, got {width}")
    return [width << n if most is None else min(width << n, max(width, most)) for n in range(times)]


def painted(num_outputs: int, image_shape: Sequence[int] | None, network: type) -> tuple[int, ...]:
    """The image whose pixels the outputs are; ValueError where they are more or less than one each."""
    image = image_of(num_outputs, image_shape)
    if prod(image) != num_outputs:
        raise ValueError(
            f"{network.__name__} gives one number for each pixel and channel of images {image}, got {int(num_outputs)} "
            "outputs: wrap it in nn.SharedScale or fix the scale of the Normal"
        )
    return image


def heads(num_outputs: int) -> list[int]:
    """The sizes of means and log sigmas, where the family says that the outputs are these; else all in one."""
    scales = num_outputs.log_scales if isinstance(num_outputs, Outputs) else ()
    return [scales[0].start, num_outputs - scales[0].start] if len(scales) == 1 else [int(num_outputs)]


def batched(c: Tensor, image: Sequence[int]) -> Float[Tensor, "B C H W"]:
    """Images in one batch; ValueError for images of another shape, which could be cut into some of this one."""
    if tuple(c.shape[-3:]) != tuple(image):
        raise ValueError(f"the network takes images of shape {tuple(image)}, got {tuple(c.shape[-3:])}: resize them")
    return c.reshape(-1, *image)


def _halving(image: Sequence[int], width: int, network: type) -> tuple[nn.Sequential, int]:
    """From the image to 4 x 4, and how many maps of these."""
    widths = doubled(width, doublings(image, network))
    body = nn.Sequential(nn.Conv2d(image[0], width, 4, stride=2, padding=1, bias=False), nn.LeakyReLU(0.2))
    for inputs, outputs in pairwise(widths):
        body.append(nn.Conv2d(inputs, outputs, 4, stride=2, padding=1, bias=False))
        body.append(nn.BatchNorm2d(outputs)).append(nn.LeakyReLU(0.2))
    return body, widths[-1]
