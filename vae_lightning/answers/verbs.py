"""Verbs: a model and some prepared rows -> what it answers of them; every verb is a function of (model, rows, seed)."""

from __future__ import annotations

import abc
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, ClassVar, Generic, Protocol, TypeVar, runtime_checkable

import numpy as np
from numpy.typing import NDArray
from torch import Tensor
from torch.distributions import Distribution

from vae_lightning.answers.records import Answer, Decoded, Encoded
from vae_lightning.counts import Counts
from vae_lightning.data.preparation import Preparation
from vae_lightning.distributions import as_bits, mean_code, sample
from vae_lightning.randomness import Noise

A_co = TypeVar("A_co", bound=Answer, covariant=True)

MOMENT_SAMPLES = 1000
"""Of a posterior whose mean or deviation has no closed form."""


@runtime_checkable
class Law(Protocol):
    """What observations are drawn from, such as a Distribution."""

    @property
    def mean(self) -> Tensor:
        """(n, *X)."""

    def sample(self) -> Tensor:
        """(n, *X)."""


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

    def simulate(self, n: int) -> Law:
        """P(x | z) at n codes of the model's own."""


class Verb(abc.ABC, Generic[A_co]):
    """One question, of some rows at a time."""

    takes_missing: ClassVar[bool] = False
    """Whether it answers for rows with missing entries."""

    @abc.abstractmethod
    def __call__(self, model: Answers, names: Sequence[str], x: Tensor | Counts) -> A_co:
        """The answer for these rows, without gradient, its noise from torch's generator."""


@dataclass(frozen=True)
class Encode(Verb[Encoded]):
    """x -> the mean of q(z | x) and its standard deviation, its bits, and so many samples of z.

    Of several levels the mean of each is where those before it are at theirs. What has no closed form is estimated by
    1,000 samples.
    """

    samples: int = 0

    def __call__(self, model: Answers, names: Sequence[str], x: Tensor | Counts) -> Encoded:
        """Codes."""
        q = model.posterior(x)
        drawn = as_array(sample(q, self.samples, Noise()).transpose(0, 1)) if self.samples else None
        bits = as_bits(q)
        chosen = None if bits is None else as_array(bits.logits > 0)
        mean, sd = moments(q)
        return Encoded(names, as_array(mean), as_array(sd), chosen, drawn)


@dataclass(frozen=True)
class Decode(Verb[Decoded]):
    """z -> the mean of p(x | z)."""

    def __call__(self, model: Answers, names: Sequence[str], x: Tensor | Counts) -> Decoded:
        """Observations; here x are codes."""
        assert isinstance(x, Tensor), "codes are dense"
        return decoded(model, names, model.likelihood(x).mean)


@dataclass(frozen=True)
class Reconstruct(Verb[Decoded]):
    """x -> the mean of p(x | z) at its code: the mean of q(z | x), or the most probable bits."""

    def __call__(self, model: Answers, names: Sequence[str], x: Tensor | Counts) -> Decoded:
        """Observations."""
        return decoded(model, names, model.likelihood(code(model.posterior(x))).mean)


@dataclass(frozen=True)
class Sample(Verb[Decoded]):
    """Rows of nothing -> as many x ~ p(x), or the means E[x | z] for z ~ p(z)."""

    mean: bool = False

    def __call__(self, model: Answers, names: Sequence[str], x: Tensor | Counts) -> Decoded:
        """Observations; of x only the number of rows is read."""
        law = model.simulate(len(names))
        return decoded(model, names, law.mean if self.mean else law.sample())


def code(q: Distribution) -> Tensor:
    """The one code that stands for q: its mean, or its most probable bits."""
    bits = as_bits(q)
    return moments(q)[0].contiguous() if bits is None else (bits.logits > 0).to(bits.logits.dtype)


def moments(q: Distribution) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation of each entry, by samples where there is no closed form."""
    with suppress(NotImplementedError, TypeError):  # GibbsMRF's is a TypeError, which says what has one
        return mean_code(q), q.stddev
    drawn = sample(q, MOMENT_SAMPLES, Noise())
    with suppress(NotImplementedError, TypeError):
        return mean_code(q), drawn.std(0)
    return drawn.mean(0), drawn.std(0)


def decoded(model: Answers, names: Sequence[str], x: Tensor) -> Decoded:
    """Observations as the model sees them, in the units of the data."""
    read = model.read_by
    original = read.to_original(x)
    texts = read.texts(original)
    return Decoded(names, as_array(original), None if texts is None else np.array(texts), columns=read.columns)


def as_array(x: Tensor) -> NDArray[Any]:
    """On the CPU."""
    return x.detach().cpu().numpy()
