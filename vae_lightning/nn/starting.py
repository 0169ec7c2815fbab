"""Starting: the training data -> layers and priors that start from them."""

from __future__ import annotations

from typing import Any, Protocol, runtime_checkable

from jaxtyping import Int64
from torch import Size, Tensor

from vae_lightning.counts import Counts


@runtime_checkable
class TrainingRows(Protocol):
    """Training observations of which a few are asked for; not all need to be in memory."""

    def __len__(self) -> int: ...

    @property
    def shape(self) -> Size | None:
        """(N, *X) of x; None where it is sparse."""

    @property
    def limits(self) -> tuple[float, float]:
        """Between which numbers the entries of x lie."""

    def batch(self, rows: Int64[Tensor, " n"]) -> tuple[Any, Tensor]:
        """(x, y) of these rows."""


@runtime_checkable
class TrainingData(TrainingRows, Protocol):
    """The training observations, as those of `vae_lightning.data`."""

    @property
    def x(self) -> Tensor | Counts:
        """All of them, as evaluation sees them."""


@runtime_checkable
class StartsFromData(Protocol):
    """A layer or a prior that starts from the training data: a new model shows it them once, before it trains.

    A layer of your own needs the method alone. What it learns belongs into parameters or buffers, which checkpoints
    keep; all its random numbers into `randomness.seeded`, so that it leaves those of the training as they are.

    Examples:
        >>> import torch
        >>> from torch import nn
        >>> from vae_lightning.data import Observations
        >>> from vae_lightning.families import Normal
        >>> from vae_lightning.models import GaussianVAE
        >>> from vae_lightning.nn import StartsFromData
        >>> class Centred(nn.Linear):
        ...     def start_from(self, data):
        ...         with torch.no_grad():
        ...             self.bias.copy_(-self.weight @ data.x.mean(0))
        >>> isinstance(Centred(6, 4), StartsFromData)
        True
        >>> class Data:
        ...     train = Observations.numbered(torch.ones(50, 6), torch.zeros(50))
        >>> vae = GaussianVAE(2, Normal(6), encoder=lambda shape, outputs: Centred(*shape, outputs))
        >>> vae.start(Data())  # `fit` does so with its data module
        >>> bool(vae.model.encoder.network(torch.ones(6)).abs().max() < 1e-6)
        True
    """

    def start_from(self, data: TrainingData) -> None:
        """Learn from the training data where to start; ValueError or TypeError for data that do not fit."""


def documents(data: TrainingData) -> Counts:
    """All training documents; TypeError for dense observations."""
    if not isinstance(x := data.x, Counts):
        raise TypeError(f"documents are sparse, got a {type(x).__name__}: use Counts.from_dense(x)")
    return x
