"""Priors: () -> Distribution over the latent variable."""

from __future__ import annotations

import abc
from typing import Any, Protocol, runtime_checkable

from jaxtyping import Int64
from torch import Size, Tensor, nn
from torch.distributions import Distribution


@runtime_checkable
class TrainingData(Protocol):
    """Observations that a prior asks for a few of, as those of `vae_lightning.data`; not all need to be in memory."""

    def __len__(self) -> int: ...

    @property
    def shape(self) -> Size | None:
        """(N, *X) of x; None where it is sparse."""

    @property
    def limits(self) -> tuple[float, float]:
        """Between which numbers the entries of x lie."""

    def batch(self, rows: Int64[Tensor, " n"]) -> tuple[Any, Tensor]:
        """(x, y) of these rows."""


class Prior(nn.Module, abc.ABC):
    """p(z), of batch shape () and event shape Z."""

    event_shape: Size
    starts_from_data: bool = False

    @abc.abstractmethod
    def forward(self) -> Distribution:
        """p(z)."""

    def attach(self, encoder: nn.Module, data: Any = None) -> None:
        """See the encoder, when the model is built, and the training data, before it trains; by default neither.

        The data are `TrainingData`, or a tensor (N, *X). A prior that needs the encoder holds it without
        registering it a second time.
        """
