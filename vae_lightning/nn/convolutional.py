"""Convolutional networks: images -> vectors, and vectors -> images."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from math import prod

from jaxtyping import Float
from torch import Tensor, nn

from vae_lightning.nn.outputs import image_of


class Convolutions(nn.Module):
    """Image (C, H, W) -> outputs: `Conv 4x4, stride 2 -> activation` for each width, halving the image, then Linear.

    ValueError unless the context is an image whose sides 2^(number of widths) divides.

    Examples:
        >>> import torch
        >>> from vae_lightning.nn import Convolutions
        >>> Convolutions((1, 28, 28), 20)(torch.rand(5, 1, 28, 28)).shape
        torch.Size([5, 20])
    """

    def __init__(
        self,
        context_shape: Sequence[int],
        num_outputs: int,
        channels: Sequence[int] = (32, 64),
        activation: Callable[[], nn.Module] = nn.ReLU,
    ) -> None:
        super().__init__()
        self.image_shape, height, width = _halved(context_shape, len(channels), "Convolutions")
        self.hidden = nn.Sequential()
        for inputs, outputs in pairwise((self.image_shape[0], *channels)):
            self.hidden.append(nn.Conv2d(inputs, outputs, 4, stride=2, padding=1)).append(activation())
        self.output = nn.Linear((self.image_shape[0], *channels)[-1] * height * width, num_outputs)

    def forward(self, c: Float[Tensor, "*batch channels height width"]) -> Float[Tensor, "*batch outputs"]:
        """(*B, C, H, W) -> (*B, P)."""
        batch = c.shape[:-3]
        return self.output(self.hidden(c.reshape(-1, *self.image_shape)).flatten(1)).reshape(*batch, -1)


class Deconvolutions(nn.Module):
    """Context -> parameters of an image, flat: Linear, then `activation -> transposed Conv 4x4, stride 2` doubling it.

    The image is the observation, which the Conditional tells. The number of outputs is a multiple of its entries: one
    map of parameters for Bernoulli or fixed-scale pixels, two (means, then log sigmas) for a Normal with free scale.
    ValueError unless the image's sides are divisible by 2^(number of widths) and it divides the outputs.

    Args:
        context_shape: bound by the Conditional.
        num_outputs: bound by the Conditional.
        image_shape: (C, H, W), only where the observation is flat, or there is no Conditional.
        channels: widths, from the context to the image; one for each doubling.
        activation: builds what comes before each of the transposed convolutions.

    Examples:
        >>> import torch
        >>> from vae_lightning.nn import Deconvolutions
        >>> Deconvolutions((20,), 28 * 28, image_shape=(1, 28, 28))(torch.randn(5, 20)).shape
        torch.Size([5, 784])
    """

    def __init__(
        self,
        context_shape: Sequence[int],
        num_outputs: int,
        image_shape: Sequence[int] | None = None,
        channels: Sequence[int] = (64, 32),
        activation: Callable[[], nn.Module] = nn.ReLU,
    ) -> None:
        super().__init__()
        image, height, width = _halved(image_of(num_outputs, image_shape), len(channels), "Deconvolutions")
        if num_outputs % prod(image):
            raise ValueError(
                f"Deconvolutions of images {image} cannot give {num_outputs} outputs: set image_shape to x's"
            )
        self.context_dims = len(context_shape)
        widths = (*channels, num_outputs // prod(image) * image[0])
        self.start = (widths[0], height, width)
        self.hidden = nn.Linear(prod(context_shape), prod(self.start))
        self.output = nn.Sequential()
        for inputs, outputs in pairwise(widths):
            self.output.append(activation()).append(nn.ConvTranspose2d(inputs, outputs, 4, stride=2, padding=1))

    def forward(self, c: Float[Tensor, "*batch_and_context"]) -> Float[Tensor, "*batch outputs"]:
        """(*B, *C) -> (*B, P)."""
        batch = c.shape[: c.ndim - self.context_dims]
        hidden = self.hidden(c.reshape(-1, self.hidden.in_features)).unflatten(1, self.start)
        return self.output(hidden).reshape(*batch, -1)


def _halved(shape: Sequence[int], times: int, name: str) -> tuple[tuple[int, int, int], int, int]:
    """The image shape, and its sides after halving; ValueError if that does not come out even."""
    if len(shape) != 3 or shape[1] % 2**times or shape[2] % 2**times:
        raise ValueError(
            f"{name} needs images (C, H, W) with sides divisible by {2**times}, got {tuple(shape)}: use fewer "
            "channels, one for each halving"
        )
    return (shape[0], shape[1], shape[2]), shape[1] // 2**times, shape[2] // 2**times
