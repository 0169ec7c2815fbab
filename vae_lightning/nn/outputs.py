"""Outputs: how many numbers a network emits -> the same number, knowing the shape of what they are parameters of."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Size


class Outputs(int):
    """A number of outputs, as a Conditional gives it to its network: an int that networks of images ask for the image.

    Which of them are log standard deviations is known, too: `nn.ScalePerDimension` learns those apart from the context.
    Wrapped networks that emit a part of the parameters, such as the means, get `outputs // parts`, which knows the
    shape, too.

    Examples:
        >>> from vae_lightning.nn import Outputs
        >>> outputs = Outputs(128, (1, 8, 8))  # a mean and a log sigma for each pixel
        >>> outputs + 1, outputs.event_shape
        (129, torch.Size([1, 8, 8]))
    """

    event_shape: Size
    log_scales: tuple[slice, ...]

    def __new__(cls, number: int, event_shape: Sequence[int], log_scales: Sequence[slice] = ()) -> Outputs:
        """So many, of an event of this shape, those of `log_scales` log standard deviations."""
        outputs = super().__new__(cls, number)
        outputs.event_shape, outputs.log_scales = Size(event_shape), tuple(log_scales)
        return outputs

    def __floordiv__(self, parts: int) -> Outputs:
        return Outputs(int(self) // parts, self.event_shape)

    def __reduce__(self) -> tuple[Any, ...]:
        return Outputs, (int(self), tuple(self.event_shape), self.log_scales)


def image_of(num_outputs: int, image_shape: Sequence[int] | None) -> tuple[int, ...]:
    """(C, H, W) of the image whose parameters the outputs are; ValueError if it is not known or given as another."""
    event = tuple(num_outputs.event_shape) if isinstance(num_outputs, Outputs) else None
    if image_shape is None:
        if event is None or len(event) != 3:
            told = "" if event is None else f", and the observations are {event}"
            raise ValueError(f"the shape of the image is not known{told}: give image_shape, (channels, height, width)")
        return event
    if event is not None and len(event) == 3 and tuple(image_shape) != event:
        raise ValueError(
            f"image_shape is {tuple(image_shape)}, but the observations are {event}: leave image_shape out"
        )
    return tuple(image_shape)
