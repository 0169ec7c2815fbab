"""programs: a model -> its encoder and decoder as programs of tensors, which need torch or a runtime of ONNX alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor, nn
from torch.distributions import Distribution
from torch.export import Dim, ExportedProgram

from vae_lightning.distributions import drawn_in_order, mean_code
from vae_lightning.models.reproducible import ReproducibleModule

Save = Callable[[ExportedProgram, Path], None]
"""Writes a program into a file."""


@runtime_checkable
class _Dense(Protocol):
    """A model of dense x, both of whose ways can be taken."""

    @property
    def observed_shape(self) -> tuple[int, ...]:
        """(*X)."""

    def posterior(self, x: Tensor) -> Distribution:
        """Q(z | x)."""

    def likelihood(self, z: Tensor) -> Distribution:
        """P(x | z)."""


class Encoder(nn.Module):
    """x (B, *X) -> the mean code E[z | x], (B, *Z)."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, x: Tensor) -> Tensor:
        """The mean of q(z | x)."""
        assert isinstance(self.model, _Dense)
        return mean_code(self.model.posterior(x))


class Decoder(nn.Module):
    """z (B, *Z) -> the mean observation E[x | z], (B, *X)."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, z: Tensor) -> Tensor:
        """The mean of p(x | z)."""
        assert isinstance(self.model, _Dense)
        return self.model.likelihood(z).mean


def programs(model: ReproducibleModule) -> dict[str, ExportedProgram]:
    """`encoder` and `decoder`, for batches of any size; TypeError for a model of which there are none.

    x is as the model sees it: what was done to its data before, as a standardisation, is not in the program.
    """
    if not isinstance(model, _Dense) or not (shape := tuple(model.observed_shape)):
        raise TypeError(
            f"programs are made of models of dense x with an encoder and a decoder; {type(model).__name__} is none: "
            "export a checkpoint (--to model.ckpt), which vae_lightning.load reads"
        )
    with torch.no_grad(), _unchecked():
        x = next(model.parameters()).new_zeros(2, *shape)
        z = Encoder(model).eval()(x)
        if drawn_in_order(model.likelihood(z)):
            raise TypeError(
                f"{type(model).__name__}'s decoder draws x pixel by pixel, and its mean, an average of draws, is no "
                "program: export a checkpoint (--to model.ckpt), which vae_lightning.load reads"
            )
        return {"encoder": _program(Encoder(model), x), "decoder": _program(Decoder(model), z)}


def _program(module: nn.Module, example: Tensor) -> ExportedProgram:
    batch = ({0: Dim("batch")},)
    with suppress(Exception):  # it raises all kinds, for what it cannot follow; the other way may
        return torch.export.export(module.eval(), (example,), dynamic_shapes=batch)
    try:
        return torch.export.export(module.eval(), (example,), dynamic_shapes=batch, strict=True)
    except Exception as error:
        reason = " ".join(str(error).split())[:200]
        raise ValueError(
            f"torch.export cannot follow this model's {type(module).__name__.lower()}: {reason}"
        ) from error


@contextmanager
def _unchecked() -> Iterator[None]:
    """Within the block, distributions do not look at values, which a program has not yet."""
    before: bool = Distribution._validate_args
    Distribution.set_default_validate_args(False)
    try:
        yield
    finally:
        Distribution.set_default_validate_args(before)


def save_pt2(program: ExportedProgram, target: Path) -> None:
    """As `torch.export.load` reads it."""
    torch.export.save(program, target)


def save_onnx(program: ExportedProgram, target: Path) -> None:
    """As a runtime of ONNX reads it; ImportError, in one line, where what torch needs for it is not installed."""
    try:
        written = torch.onnx.export(program, dynamo=True, verbose=False)
    except ImportError as error:
        raise ImportError(f"--to {target.name} needs onnx and onnxscript: pip install onnx onnxscript") from error
    assert written is not None
    written.save(str(target))
