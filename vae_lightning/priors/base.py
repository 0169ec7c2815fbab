"""Priors: () -> Distribution over the latent variable."""

from __future__ import annotations

import abc

from torch import Size, Tensor, nn
from torch.distributions import Distribution

from vae_lightning.nn import TrainingRows


class Prior(nn.Module, abc.ABC):
    """p(z), of batch shape () and event shape Z."""

    event_shape: Size

    @abc.abstractmethod
    def forward(self) -> Distribution:
        """p(z)."""

    def attach(self, encoder: nn.Module, data: TrainingRows | Tensor | None = None) -> None:
        """See the encoder, when the model is built, and start from data if they are given; by default neither.

        A prior that needs the encoder holds it without registering it a second time. One that starts from the training
        data, `TrainingRows` or a tensor (N, *X), is `nn.StartsFromData`: its model shows it them before it trains.
        """
