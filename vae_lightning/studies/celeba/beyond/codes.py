"""Codes: the family of q(z | x) -> what builds an encoder of it around a network of images."""

from __future__ import annotations

import abc
from dataclasses import dataclass
from functools import partial

from vae_lightning.conditional import Network
from vae_lightning.encoders import BlockEncoder, FlowEncoder

LARGEST_BLOCK = 10


class Codes(abc.ABC):
    """The family of q(z | x)."""

    name: str
    """Of the row of the encoder that is fitted to the ground truth, after `encoder, `."""

    @property
    def path(self) -> str:
        """The name as that of a folder."""
        return self.name.replace(" ", "-")

    @abc.abstractmethod
    def encoder(self, network: Network, latent: int) -> Network:
        """What a model of so many latents is given as its encoder, of what builds networks of images."""


@dataclass(frozen=True)
class Independent(Codes):
    """N(mean, diag sigma^2), the paper's."""

    name: str = "conditional likelihood"

    def encoder(self, network: Network, latent: int) -> Network:
        """The network."""
        return network


@dataclass(frozen=True)
class InBlocks(Codes):
    """Full covariance in blocks of 10 latents, or of the largest number below that divides theirs."""

    name: str = "covariance in blocks"

    def encoder(self, network: Network, latent: int) -> Network:
        """A `BlockEncoder`."""
        block = max(size for size in range(1, LARGEST_BLOCK + 1) if latent % size == 0)
        return partial(BlockEncoder, network=network, block=block)


@dataclass(frozen=True)
class Flowing(Codes):
    """A flow of four affine couplings."""

    name: str = "flow"

    def encoder(self, network: Network, latent: int) -> Network:
        """A `FlowEncoder`."""
        return partial(FlowEncoder, network=network)
