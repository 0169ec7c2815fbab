"""GatedLayer: features of the rows above a pixel and of the pixels to its left -> the same, further out; PixelCNN's."""

from __future__ import annotations

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn


class GatedLayer(nn.Module):
    """A layer of a gated PixelCNN: two convolutions that read no pixel of a later place, and what z says of each.

    Features come in two stacks. `above`, (N, F, H, W), knows the rows above a pixel, in all columns that are near;
    `left` the pixels before it, in order: those rows and, of its own row, what is to its left. Instead of being
    multiplied by a mask, a kernel has no entries where the mask would have zeros.

    Args:
        inputs: channels that come in.
        width: F, channels that go out.
        planes: maps of z that every pixel sees.
        kernel: side of the square that the mask is cut from, odd.
        masked: whether the pixel's own place is masked, too (a mask of type A, for the layer that reads x), or not
            (type B), where the left stack is a residual one.
    """

    def __init__(self, inputs: int, width: int, planes: int, kernel: int, masked: bool) -> None:
        super().__init__()
        self.reach = kernel // 2
        self.seen = self.reach if masked else self.reach + 1
        self.residual = not masked
        self.above = nn.Conv2d(inputs, 2 * width, (self.seen, kernel))
        self.left = nn.Conv2d(inputs, 2 * width, (1, self.seen))
        self.down = nn.Conv2d(width, 2 * width, 1, bias=False)
        self.told = nn.Conv2d(planes, 4 * width, 1, bias=False)
        self.out = nn.Conv2d(width, width, 1)

    def forward(
        self,
        above: Float[Tensor, "n inputs height width"],
        left: Float[Tensor, "n inputs height width"],
        maps: Float[Tensor, "n planes height width"],
    ) -> tuple[Tensor, Tensor]:
        """Both stacks of the next layer, (N, F, H, W)."""
        height, width = above.shape[-2:]
        told_above, told_left = self.told(maps).chunk(2, 1)
        reach = self.reach
        rows = gated(self.above(F.pad(above, (reach, reach, reach, 0)))[..., :height, :] + told_above, 1)
        pixels = self.left(F.pad(left, (reach, 0, 0, 0)))[..., :width] + self.down(rows) + told_left
        found = self.out(gated(pixels, 1))
        return rows, left + found if self.residual else found


def gated(x: Tensor, axis: int) -> Tensor:
    """tanh(a) sigmoid(b) of the two halves of x along an axis."""
    a, b = x.chunk(2, axis)
    return a.tanh() * b.sigmoid()
