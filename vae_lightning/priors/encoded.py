"""EncodedPrior: an equal mixture of the encoder's posteriors of some inputs."""

from __future__ import annotations

import abc
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int64
from torch import Size, Tensor, nn
from torch.distributions import Distribution

from vae_lightning.affine import dense
from vae_lightning.conditional import Conditional
from vae_lightning.construction.arguments import check_kinds
from vae_lightning.distributions import packed
from vae_lightning.encoders import FlowEncoder
from vae_lightning.nn import TrainingRows
from vae_lightning.priors.base import Prior
from vae_lightning.priors.members import EqualMixture
from vae_lightning.priors.mixture import Mixture

Encoder = Conditional | FlowEncoder


class EncodedPrior(Prior):
    """p(z) = 1/K sum_k q(z | u_k) for K `inputs` u, (K, *X); subclasses say what these are.

    It holds the encoder of its model, once attached, without registering it a second time. Its KL has no closed form:
    train by `ELBO`, `IWAE` or `DReG`.
    """

    def __init__(self, latent_shape: int | Sequence[int], observed_shape: int | Sequence[int], chunk: int) -> None:
        check_kinds(EncodedPrior, locals())
        super().__init__()
        self.event_shape, self.observed_shape = _size(latent_shape), _size(observed_shape)
        self.chunk = chunk
        self._attached: tuple[Encoder, ...] = ()  # in a tuple, out of torch's sight
        self._joint = False  # whether entries of a posterior depend on each other

    @property
    @abc.abstractmethod
    def inputs(self) -> Float[Tensor, "K *observation"]:
        """u."""

    @abc.abstractmethod
    def start(self, data: TrainingRows) -> None:
        """Choose the inputs, or where they start, from the training data, of which only what is chosen is made."""

    def attach(self, encoder: nn.Module, data: TrainingRows | Tensor | None = None) -> None:
        """Use this encoder; start from data if they are given. ValueError or TypeError if shapes do not fit."""
        name, needed = type(self).__name__, f"{tuple(self.observed_shape)} -> {tuple(self.event_shape)}"
        if not isinstance(encoder, Encoder):
            raise TypeError(f"{name} needs an encoder that is a Conditional, got {type(encoder).__name__}")
        if (encoder.context_shape, encoder.event_shape) != (self.observed_shape, self.event_shape):
            got = f"{tuple(encoder.context_shape)} -> {tuple(encoder.event_shape)}"
            raise ValueError(
                f"{name} is of shape {needed} but the encoder {got}: set observed_shape and latent_shape to that"
            )
        self._attached, self._joint = (encoder,), packed(encoder.prototype()) is not None
        if data is not None:
            self.start_from(data)

    @torch.no_grad()
    def start_from(self, data: TrainingRows | Tensor) -> None:
        """Start from `TrainingRows` or (N, *X); ValueError if their shape does not fit."""
        if isinstance(data, Tensor):
            data = InMemory(data)
        shape = getattr(data, "shape", None)
        if shape is None or shape[1:] != self.observed_shape:
            what = f"{type(data).__name__} that are not dense" if shape is None else tuple(shape)
            wanted = f"training data (N, *X) with X = {tuple(self.observed_shape)}"
            raise ValueError(f"{type(self).__name__} needs {wanted}, got {what}")
        self.start(data)

    def forward(self) -> Distribution:
        """p(z); ValueError before an encoder is attached."""
        if not self._attached:
            raise ValueError(f"{type(self).__name__} has no encoder yet: build a model with it, or attach(encoder)")
        encoder = self._attached[0]
        if isinstance(encoder, FlowEncoder) or self._joint:
            return EqualMixture(encoder(self.inputs), self.chunk)
        return Mixture(encoder.family, dense(encoder.natural_parameters(self.inputs)), chunk=self.chunk)


@dataclass(frozen=True, eq=False)
class InMemory:
    """A tensor as training data."""

    x: Float[Tensor, "N *observation"]

    def __len__(self) -> int:
        return len(self.x)

    @property
    def shape(self) -> Size:
        """(N, *X)."""
        return self.x.shape

    @property
    def limits(self) -> tuple[float, float]:
        """Its least and its greatest entry that is not missing."""
        low, high = self.x[~self.x.isnan()].aminmax()
        return float(low), float(high)

    def batch(self, rows: Int64[Tensor, " n"]) -> tuple[Tensor, Tensor]:
        """These rows, and their numbers."""
        return self.x[rows], rows


def _size(shape: int | Sequence[int]) -> Size:
    return Size([shape]) if isinstance(shape, int) else Size(shape)
