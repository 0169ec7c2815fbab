"""Kinds: q -> what kind of distribution it is."""

from __future__ import annotations

import functools
from typing import Protocol, runtime_checkable

import torch.distributions as td
from jaxtyping import Float
from torch import Size, Tensor


def factors(q: td.Distribution) -> td.Distribution | None:
    """The independent variables that a factorised q joins to one event; None for any other q."""
    return q.base_dist if isinstance(q, td.Independent) else None


def base(q: td.Distribution) -> td.Distribution:
    """The independent variables of a factorised q; any other q itself."""
    return q.base_dist if isinstance(q, td.Independent) else q


def family_name(q: td.Distribution) -> str:
    """The name a person would use for q's family."""
    return type(base(q)).__name__


def as_normal(q: td.Distribution) -> td.Normal | None:
    """The Gaussian variables that q consists of; None for any other q."""
    variables = q.base_dist if isinstance(q, td.Independent) else q
    return variables if isinstance(variables, td.Normal) else None


def as_bits(q: td.Distribution) -> td.Bernoulli | None:
    """The independent bits that q consists of; None for any other q."""
    variables = q.base_dist if isinstance(q, td.Independent) else q
    return variables if isinstance(variables, td.Bernoulli) else None


@functools.singledispatch
def is_bag_of_words(q: td.Distribution) -> bool:
    """Whether q is of documents, as sparse `Counts`, whose lengths it does not model."""
    return False


@functools.singledispatch
def drawn_in_order(p: object) -> bool:
    """Whether the entries of x are drawn one after another, each given those before it."""
    return False


@functools.singledispatch
def first_level(q: td.Distribution) -> td.Distribution:
    """The level that is drawn first; by default q has one level alone."""
    return q


@functools.singledispatch
def component(p: td.Distribution, k: int) -> td.Distribution:
    """The k-th component of a mixture, its members counted from 0; of several levels that of the first to be drawn.

    TypeError for a p that has none, ValueError for a k that is none of them.
    """
    raise TypeError(
        f"{family_name(p)} has no components to draw from: those of a VampPrior are of its pseudo-inputs, and a "
        "MixturePrior and an AggregatedPosterior have some"
    )


def checked_component(k: int, number: int) -> int:
    """K, if it is one of so many; ValueError if not."""
    if not 0 <= k < number:
        raise ValueError(f"component counts from 0 to {number - 1}, the prior has {number}; got {k}")
    return k


@functools.singledispatch
def mean_code(q: td.Distribution) -> Float[Tensor, "*batch_and_event"]:
    """E_q[z]; of several levels, the mean of each where those before it are at theirs."""
    return q.mean


@runtime_checkable
class Unnormalised(Protocol):
    """A q that is known up to its normaliser."""

    def sample(self, sample_shape: Size = ..., /) -> Tensor:
        """Samples, with no gradient."""

    def score(self, x: Tensor, /) -> Tensor:
        """Log q(x) up to a constant."""
