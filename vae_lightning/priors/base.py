"""Priors: () -> Distribution over the latent variable."""

from __future__ import annotations

import abc
from typing import Any

from torch import Size, nn
from torch.distributions import Distribution


class Prior(nn.Module, abc.ABC):
    """p(z), of batch shape () and event shape Z."""

    event_shape: Size

    @abc.abstractmethod
    def forward(self) -> Distribution:
        """p(z)."""

    def attach(self, encoder: nn.Module, data: Any) -> None:
        """See the encoder and the training data, before training; the encoder is not registered a second time."""
