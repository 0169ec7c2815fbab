"""Priors: () -> Distribution over the latent variable."""

from __future__ import annotations

import abc
from typing import Any

from torch import Size, nn
from torch.distributions import Distribution


class Prior(nn.Module, abc.ABC):
    """p(z), of batch shape () and event shape Z."""

    event_shape: Size
    starts_from_data: bool = False

    @abc.abstractmethod
    def forward(self) -> Distribution:
        """p(z)."""

    def attach(self, encoder: nn.Module, data: Any = None) -> None:
        """See the encoder, when the model is built, and the training data, before it trains; by default neither.

        A prior that needs the encoder holds it without registering it a second time.
        """
