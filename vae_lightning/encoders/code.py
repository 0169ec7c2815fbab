"""code_shape: the outputs a model asks of its encoder's network -> the shape of a code."""

from __future__ import annotations

from torch import Size

from vae_lightning.nn.outputs import Outputs


def code_shape(num_outputs: int, encoder: type) -> Size:
    """(*Z); TypeError for a bare number, which does not say what it is parameters of."""
    if not isinstance(num_outputs, Outputs):
        raise TypeError(
            f"{encoder.__name__} needs to know the shape of a code: give it to a model as its encoder, or give it "
            f"nn.Outputs({num_outputs}, shape)"
        )
    return num_outputs.event_shape
