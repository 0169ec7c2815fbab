"""PixelCNN: z and an image -> the parameters of each pixel given z and the pixels before it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor, nn

from vae_lightning.construction.arguments import check_kinds
from vae_lightning.nn.gated import GatedLayer
from vae_lightning.nn.mlp import MLP
from vae_lightning.nn.outputs import Outputs, image_of
from vae_lightning.nn.pixel_cache import Draw, PixelCache


@runtime_checkable
class Causal(Protocol):
    """A network of x and z whose parameters of an entry of x depend on z and on the entries before it alone."""

    def maps(self, c: Tensor) -> Tensor:
        """What z says, for each row of it: (*B, *C) -> (*B, *M)."""

    def __call__(self, x: Tensor, maps: Tensor) -> Tensor:
        """The parameters of all entries of x at once: (N, *X), (N, *M) -> (N, P)."""

    def generate(self, maps: Tensor, draw: Draw) -> Tensor:
        """An x, (N, *X), entry by entry, each drawn from its parameters."""


class PixelCNN(nn.Module):
    """The gated PixelCNN that sees z: parameters of each pixel given z and the pixels before it, row by row.

        h_0 = x,   h_l = h_{l-1} + W_l (tanh(a_l) sigmoid(b_l)),  (a_l, b_l) = masked convolution of h_{l-1} + V_l s(z)

    A network s turns z into maps of the image's size, which every layer sees at every pixel; convolutions are masked,
    so that the first one reads only pixels before its own (type A) and the others features up to their own (type B).
    Two stacks of them, of the rows above and of the row itself, leave no blind spot. Given where a model asks for the
    network of its decoder it makes p(x | z) = prod_i p(x_i | x_<i, z), a `decoders.Autoregressive`. The channels of a
    pixel do not see each other.
    Sources: van den Oord et al., Conditional image generation with PixelCNN decoders (2016), Eq. 4; Tomczak and
    Welling, VAE with a VampPrior (2018), section 5, whose PixelHVAE reads (x, z1, z2).

    Args:
        context_shape: of z, bound by the Conditional.
        num_outputs: the parameters of an image, bound by the Conditional: a multiple of its entries.
        network: builds s, from (context shape, `Outputs` of shape (planes, H, W)).
        planes: maps that s makes of z.
        channels: width of the layers.
        layers: how many, the first one included.
        first_kernel: side of the first layer's square, odd; 7 suits images of 28 x 28.
        kernel: side of the others', odd.
        image_shape: (C, H, W), only where there is no Conditional.

    ValueError unless x is an image, the kernels are odd and at least 3, and the others at least 1.

    Examples:
        >>> import torch
        >>> from vae_lightning.nn import PixelCNN
        >>> network = PixelCNN((2,), 64, image_shape=(1, 8, 8))
        >>> x, maps = torch.rand(5, 1, 8, 8), network.maps(torch.randn(5, 2))
        >>> before = network(x, maps)
        >>> x[:, :, 4, 2] += 1.0  # changes the parameters of no pixel up to its own place, row 4, column 2
        >>> changed = (network(x, maps) != before).any(0).nonzero()
        >>> changed.min().item() > 4 * 8 + 2
        True
    """

    def __init__(
        self,
        context_shape: Sequence[int],
        num_outputs: int,
        network: Callable[[Sequence[int], int], nn.Module] = MLP,
        planes: int = 2,
        channels: int = 32,
        layers: int = 4,
        first_kernel: int = 5,
        kernel: int = 3,
        image_shape: Sequence[int] | None = None,
    ) -> None:
        check_kinds(PixelCNN, locals())
        super().__init__()
        image = image_of(num_outputs, image_shape)
        if num_outputs % prod(image):
            raise ValueError(f"PixelCNN of images {image} cannot give {num_outputs} outputs: set image_shape to x's")
        _check(planes, channels, layers, first_kernel, kernel)
        self.image_shape, self.map_shape = image, (planes, *image[1:])
        self.network = network(context_shape, Outputs(prod(self.map_shape), self.map_shape))
        self.layers = nn.ModuleList([GatedLayer(image[0], channels, planes, first_kernel, masked=True)])
        for _ in range(layers - 1):
            self.layers.append(GatedLayer(channels, channels, planes, kernel, masked=False))
        outputs = num_outputs // prod(image[1:])
        self.head = nn.Sequential(
            nn.ReLU(), nn.Conv2d(channels, channels, 1), nn.ReLU(), nn.Conv2d(channels, outputs, 1)
        )
        for part in (self.layers, self.head):
            part.to(memory_format=torch.channels_last)  # so few channels take half the time

    def maps(self, c: Float[Tensor, "*batch_and_context"]) -> Float[Tensor, "*batch planes height width"]:
        """s(z), for each row of z."""
        return self.network(c).unflatten(-1, self.map_shape)

    def forward(
        self, x: Float[Tensor, "n channels height width"], maps: Float[Tensor, "n planes height width"]
    ) -> Float[Tensor, "n outputs"]:
        """The parameters of all pixels of x, flat: one map of the image after another."""
        above = left = x
        for layer in self.layers:
            above, left = layer(above, left, maps)
        return self.head(left).flatten(1)

    @torch.no_grad()
    def generate(
        self, maps: Float[Tensor, "n planes height width"], draw: Draw
    ) -> Float[Tensor, "n channels height width"]:
        """Images, pixel by pixel, each drawn from its parameters (N, P / (H W)); as one evaluation would see them."""
        layers = [layer for layer in self.layers if isinstance(layer, GatedLayer)]
        maps = maps.to(next(self.parameters()))
        return PixelCache(layers, self.head, maps, self.image_shape[0]).images(draw)


def _check(planes: int, channels: int, layers: int, first_kernel: int, kernel: int) -> None:
    if min(planes, channels, layers) < 1:
        raise ValueError(
            f"PixelCNN needs planes, channels and layers of at least 1, got {planes}, {channels} and {layers}"
        )
    for name, side in {"first_kernel": first_kernel, "kernel": kernel}.items():
        if side < 3 or side % 2 == 0:
            raise ValueError(f"PixelCNN needs a {name} that is odd and at least 3, so that it has a middle; got {side}")
