"""Verbs: a model and some prepared rows -> what it answers of them; every verb is a function of (model, rows, seed)."""

from __future__ import annotations

import abc
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Generic, Protocol, TypeVar, runtime_checkable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.distributions import Distribution

from vae_lightning.answers.records import Answer, Decoded, Encoded, Imputed, Scored
from vae_lightning.counts import Counts
from vae_lightning.data.loaders import Observations
from vae_lightning.data.preparation import Block, Preparation, Prepared
from vae_lightning.distributions import as_bits, mean_code, sample
from vae_lightning.inference import Imputed as Filled
from vae_lightning.inference import Scores
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

    def simulate_component(self, n: int, k: int) -> Law:
        """P(x | z) at n codes of the k-th component of its prior."""

    def scorer(self, rows: Observations, samples: int | None) -> Callable[[Tensor | Counts], Scores]:
        """Of any of these rows log p(x), by so many samples."""

    def imputed(self, x: Tensor, samples: int | None) -> Filled:
        """Rows with their missing entries, by so many samples."""


class Verb(abc.ABC, Generic[A_co]):
    """One question, of some rows at a time."""

    takes_missing: ClassVar[bool] = False
    """Whether it answers for rows with missing entries."""

    def begun(self, model: Answers, rows: Prepared) -> Verb[A_co]:
        """The verb once it has looked at all rows, where an answer needs that; its noise is torch's."""
        return self

    @abc.abstractmethod
    def __call__(self, model: Answers, rows: Block) -> A_co:
        """The answer for these rows, without gradient, its noise from torch's generator."""


@dataclass(frozen=True)
class Encode(Verb[Encoded]):
    """x -> the mean of q(z | x) and its standard deviation, its bits, and some samples of z.

    With several levels of codes the mean of each is taken at the means of those before it. What has no closed form is
    estimated by 1,000 samples.
    """

    samples: int = 0

    def __post_init__(self) -> None:
        if self.samples < 0:
            raise ValueError(f"samples counts codes to draw for each row, 0 or more; got {self.samples}")

    def __call__(self, model: Answers, rows: Block) -> Encoded:
        """Codes."""
        q = model.posterior(rows.x)
        drawn = as_array(sample(q, self.samples, Noise()).transpose(0, 1)) if self.samples else None
        bits = as_bits(q)
        chosen = None if bits is None else as_array(bits.logits > 0)
        mean, sd = moments(q)
        return Encoded(rows.names, as_array(mean), as_array(sd), chosen, drawn)


@dataclass(frozen=True)
class Decode(Verb[Decoded]):
    """z -> the mean of p(x | z)."""

    def __call__(self, model: Answers, rows: Block) -> Decoded:
        """Observations; here x are codes."""
        assert isinstance(rows.x, Tensor), "codes are dense"
        return decoded(model, rows.names, model.likelihood(rows.x).mean)


@dataclass(frozen=True)
class Reconstruct(Verb[Decoded]):
    """x -> the mean of p(x | z) at its code: the mean of q(z | x), or the most probable bits."""

    def __call__(self, model: Answers, rows: Block) -> Decoded:
        """Observations."""
        return decoded(model, rows.names, model.likelihood(code(model.posterior(rows.x))).mean)


@dataclass(frozen=True)
class Sample(Verb[Decoded]):
    """Rows of nothing -> as many x ~ p(x), or the means E[x | z] for z ~ p(z).

    Args:
        mean: whether these means.
        component: of the prior, that z is drawn from in place of all of it: k of a VampPrior is its k-th pseudo-input.
    """

    mean: bool = False
    component: int | None = None

    def __call__(self, model: Answers, rows: Block) -> Decoded:
        """Observations; of x only the number of rows is read."""
        n = len(rows)
        law = model.simulate(n) if self.component is None else model.simulate_component(n, self.component)
        return decoded(model, rows.names, law.mean if self.mean else law.sample())


@dataclass(frozen=True)
class Score(Verb[Scored]):
    """x -> log p(x), of rows with missing entries log p of the others, in nats and the units of the data.

    Args:
        samples: importance samples of each row, or chains of an RBM's annealing; None for what the model takes.
        scorer: that of a model which has seen all rows.
    """

    takes_missing = True
    samples: int | None = None
    scorer: Callable[[Tensor | Counts], Scores] | None = None

    def begun(self, model: Answers, rows: Prepared) -> Score:
        """With the model's scorer: an RBM's has log Z."""
        return replace(self, scorer=model.scorer(rows.observations, self.samples))

    def __call__(self, model: Answers, rows: Block) -> Scored:
        """Figures of each row."""
        assert self.scorer is not None, "it has begun"
        found = self.scorer(rows.x)
        value = as_array(found.log_likelihood) + as_array(model.read_by.log_volume(rows.x))
        return Scored(rows.names, value, as_array(found.stderr), as_array(found.effective_sample_size))


@dataclass(frozen=True)
class Impute(Verb[Imputed]):
    """Rows with missing entries -> the same with their mean, or most probable category, given the others, and errors.

    Args:
        samples: importance samples of each row, or Gibbs chains of an RBM; None for what the model takes.
    """

    takes_missing = True
    samples: int | None = None

    def __call__(self, model: Answers, rows: Block) -> Imputed:
        """What was observed stays as it was, bit for bit."""
        x, original = rows.x, rows.original
        if not isinstance(x, Tensor) or not isinstance(original, Tensor):
            raise TypeError("documents have no missing entries: a word that is not there is a count of 0")
        found, read = model.imputed(x, self.samples), model.read_by
        best = torch.where(found.missing.cpu(), read.to_original(found.best).cpu().to(original), original)
        sd, stderr = (as_array(read.spread(each).to(original)) for each in (found.stddev, found.stderr))
        return Imputed(
            rows.names, as_array(best), sd, stderr, as_array(found.effective_sample_size), columns=read.columns
        )


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
    """On the CPU; NumPy has no bfloat16."""
    return (x.float() if x.dtype == torch.bfloat16 else x).detach().cpu().numpy()
