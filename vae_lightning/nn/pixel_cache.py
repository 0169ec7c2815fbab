"""PixelCache: a PixelCNN and maps of z -> images, pixel by pixel; each computes only what is new."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from vae_lightning.nn.gated import GatedLayer, gated

Draw = Callable[[Float[Tensor, "n parameters"]], Float[Tensor, "n channels"]]
"""The parameters of one pixel of N images -> the pixel."""


class PixelCache:
    """What layers have computed of images that are being drawn, so that no pixel computes a feature again.

    The stack above is computed once a row, as convolutions of the rows that are there; the left stack once a pixel,
    as a product with what is kept of its row. An image costs about what one evaluation of the network does.

    Args:
        layers: of the network.
        head: maps the last layer's left features to parameters of a pixel, by 1 x 1 convolutions.
        maps: (N, planes, H, W).
        channels: of a pixel.
    """

    def __init__(
        self,
        layers: Sequence[GatedLayer],
        head: nn.Sequential,
        maps: Float[Tensor, "n planes height width"],
        channels: int,
    ) -> None:
        number, _, self.height, self.width = maps.shape
        self.layers, self.head = layers, head
        self.image = maps.new_zeros(number, channels, self.height, self.width)
        self.told = [layer.told(maps).chunk(2, 1) for layer in layers]
        self.products = [layer.left.weight[:, :, 0].transpose(1, 2).flatten(1) for layer in layers]
        self.above, self.lefts = [], []
        for layer in layers:
            inputs, reach = layer.left.in_channels, layer.reach
            self.above.append(maps.new_zeros(number, inputs, self.height + reach, self.width + 2 * reach))
            self.lefts.append(maps.new_zeros(number, self.width + reach, inputs))

    def images(self, draw: Draw) -> Float[Tensor, "n channels height width"]:
        """All pixels, in order."""
        for row in range(self.height):
            known = self._row(row)
            for column in range(self.width):
                self._keep(row, column, draw(self._parameters(column, known)))
        return self.image

    def _row(self, row: int) -> list[Float[Tensor, "n width twice"]]:
        """Compute the stack above of a row, and give what it and z add to each layer's left one."""
        known = []
        for number, (layer, (above, left)) in enumerate(zip(self.layers, self.told, strict=True)):
            window = self.above[number][:, :, row : row + layer.seen]
            rows = gated(layer.above(window) + above[:, :, row : row + 1], 1)
            if number + 1 < len(self.layers):
                reach = self.layers[number + 1].reach
                self.above[number + 1][:, :, row + reach, reach : reach + self.width] = rows[:, :, 0]
            known.append((layer.down(rows) + left[:, :, row : row + 1])[:, :, 0].transpose(1, 2).contiguous())
        return known

    def _parameters(self, column: int, known: Sequence[Tensor]) -> Float[Tensor, "n parameters"]:
        """Of the pixel, given all before it."""
        found = self.image.new_zeros(())
        for number, layer in enumerate(self.layers):
            here = self.lefts[number]
            if number:
                here[:, column + layer.reach] = found
            window = here[:, column : column + layer.seen].flatten(1)
            pixel = F.linear(window, self.products[number], layer.left.bias) + known[number][:, column]
            new = F.linear(gated(pixel, 1), layer.out.weight[:, :, 0, 0], layer.out.bias)
            found = found + new if layer.residual else new
        return self.head(found[:, :, None, None]).flatten(1)

    def _keep(self, row: int, column: int, pixel: Float[Tensor, "n channels"]) -> None:
        """Let the later ones see it."""
        self.image[:, :, row, column] = pixel
        reach = self.layers[0].reach
        self.above[0][:, :, row + reach, column + reach] = pixel
        self.lefts[0][:, column + reach] = pixel
