"""Sigma: the noise of p(x | z), known or learned -> the decoder's family, and its network around a generator."""

from __future__ import annotations

import abc
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from torch import nn

from vae_lightning.conditional import Network
from vae_lightning.families import Normal
from vae_lightning.nn import SharedScale


class Sigma(abc.ABC):
    """How the decoder N(d(z), sigma^2 I) has its sigma."""

    @abc.abstractmethod
    def observed(self, image: Sequence[int], sigma: float) -> Normal:
        """The family of p(x | z)."""

    @abc.abstractmethod
    def network(self, generator: Network, sigma: float) -> Network:
        """Builds the decoder's network, of what builds a generator."""

    @abc.abstractmethod
    def generator(self, network: nn.Module) -> nn.Module:
        """The generator in such a network."""


@dataclass(frozen=True)
class KnownSigma(Sigma):
    """It stays as it is."""

    def observed(self, image: Sequence[int], sigma: float) -> Normal:
        """Of this sigma."""
        return Normal(tuple(image), sigma)

    def network(self, generator: Network, sigma: float) -> Network:
        """The generator, which gives the means."""
        return generator

    def generator(self, network: nn.Module) -> nn.Module:
        """The network itself."""
        return network


@dataclass(frozen=True)
class LearnedSigma(Sigma):
    """One for all pixels and codes, which learns with the rest of the model."""

    def observed(self, image: Sequence[int], sigma: float) -> Normal:
        """Of any sigma."""
        return Normal(tuple(image))

    def network(self, generator: Network, sigma: float) -> Network:
        """The generator, and a log sigma beside it that begins at this one."""
        return partial(SharedScale, network=generator, sigma=sigma)

    def generator(self, network: nn.Module) -> nn.Module:
        """What gives the means; TypeError for another network."""
        if not isinstance(network, SharedScale):
            raise TypeError(f"a learned sigma is that of SharedScale, got {type(network).__name__}")
        return network.network
