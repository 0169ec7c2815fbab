"""Verbs: a model and some prepared rows -> what it answers of them; every verb is a function of (model, rows, seed)."""

from __future__ import annotations

import abc
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar, runtime_checkable

from numpy.typing import NDArray
from torch import Tensor
from torch.distributions import Distribution

from vae_lightning.answers.records import Answer, Decoded, Encoded
from vae_lightning.counts import Counts
from vae_lightning.data.preparation import Preparation
from vae_lightning.distributions import as_bits, mean_code, sample
from vae_lightning.randomness import Noise

A_co = TypeVar("A_co", bound=Answer, covariant=True)


@runtime_checkable
class Answers(Protocol):
    """What a verb asks of a model."""

    @property
    def read_by(self) -> Preparation:
        """How data become x, and x data."""

    def posterior(self, x: Tensor | Counts) -> Distribution:
        """Q(z | x), or p(z | x) where that is known."""

    def likelihood(self, z: Tensor) -> Distribution:
        """P(x | z)."""


class Verb(abc.ABC, Generic[A_co]):
    """One question, of some rows at a time."""

    @abc.abstractmethod
    def __call__(self, model: Answers, names: Sequence[str], x: Tensor | Counts) -> A_co:
        """The answer for these rows, without gradient, its noise from torch's generator."""


@dataclass(frozen=True)
class Encode(Verb[Encoded]):
    """x -> the mean of q(z | x) and its standard deviation, with so many samples of z."""

    samples: int = 0

    def __call__(self, model: Answers, names: Sequence[str], x: Tensor | Counts) -> Encoded:
        """Codes."""
        q = model.posterior(x)
        drawn = as_array(sample(q, self.samples, Noise()).transpose(0, 1)) if self.samples else None
        return Encoded(names, as_array(mean_code(q)), as_array(q.stddev), drawn)


@dataclass(frozen=True)
class Decode(Verb[Decoded]):
    """z -> the mean of p(x | z)."""

    def __call__(self, model: Answers, names: Sequence[str], x: Tensor | Counts) -> Decoded:
        """Observations; here x are codes."""
        assert isinstance(x, Tensor), "codes are dense"
        return decoded(model, names, x)


@dataclass(frozen=True)
class Reconstruct(Verb[Decoded]):
    """x -> the mean of p(x | z) at its code: the mean of q(z | x), or the most probable bits."""

    def __call__(self, model: Answers, names: Sequence[str], x: Tensor | Counts) -> Decoded:
        """Observations."""
        return decoded(model, names, code(model.posterior(x)))


def code(q: Distribution) -> Tensor:
    """The one code that stands for q: its mean, or its most probable bits."""
    bits = as_bits(q)
    return mean_code(q) if bits is None else (bits.logits > 0).to(bits.logits.dtype)


def decoded(model: Answers, names: Sequence[str], z: Tensor) -> Decoded:
    """The mean of p(x | z) in the units of the data."""
    read = model.read_by
    return Decoded(names, as_array(read.to_original(model.likelihood(z).mean)), columns=read.columns)


def as_array(x: Tensor) -> NDArray[Any]:
    """On the CPU."""
    return x.detach().cpu().numpy()
