"""Parameters: q -> mean and sigma, or logits, and q of other ones."""

from __future__ import annotations

import functools
from collections.abc import Iterable
from typing import Any

import torch.distributions as td
from jaxtyping import Float
from torch import Tensor

from vae_lightning.distributions.kinds import base, family_name


def parameters(q: td.Distribution) -> tuple[Tensor, ...]:
    """(mean, sigma) of Gaussians, (logits,) of bits; () for any other family."""
    return _parameters(base(q))


@functools.singledispatch
def _parameters(variables: td.Distribution) -> tuple[Tensor, ...]:
    return ()


@_parameters.register
def _(variables: td.Normal) -> tuple[Tensor, ...]:
    return variables.loc, variables.scale


@_parameters.register
def _(variables: td.Bernoulli) -> tuple[Tensor, ...]:
    return (variables.logits,)


def rebuilt(q: td.Distribution, values: Iterable[Tensor]) -> td.Independent[Any]:
    """Gaussians or bits, as q, of other `parameters`."""
    return td.Independent(_rebuilt(base(q), *values), len(q.event_shape), validate_args=False)


@functools.singledispatch
def _rebuilt(variables: td.Distribution, *values: Tensor) -> td.Distribution:
    raise TypeError(f"only Gaussians and bits are rebuilt of their parameters, got {family_name(variables)}")


@_rebuilt.register
def _(variables: td.Normal, mean: Tensor, sigma: Tensor) -> td.Distribution:
    return td.Normal(mean, sigma, validate_args=False)


@_rebuilt.register
def _(variables: td.Bernoulli, logits: Tensor) -> td.Distribution:
    return td.Bernoulli(logits=logits, validate_args=False)


def held(q: td.Distribution) -> td.Independent[Any]:
    """The same Gaussians or bits with constant parameters."""
    return rebuilt(q, (each.detach() for each in parameters(q)))


def displaced(q: td.Distribution, steps: Float[Tensor, "parameters *batch_and_event"]) -> td.Independent[Any]:
    """Gaussians or bits near q: N(mean + sigma a, (sigma e^b)^2) for steps (a, b), or logits + a."""
    return rebuilt(q, _displaced(base(q), *steps))


@functools.singledispatch
def _displaced(variables: td.Distribution, *steps: Tensor) -> tuple[Tensor, ...]:
    return ()


@_displaced.register
def _(variables: td.Normal, shift: Tensor, log_ratio: Tensor) -> tuple[Tensor, ...]:
    return variables.loc + variables.scale * shift, variables.scale * log_ratio.exp()


@_displaced.register
def _(variables: td.Bernoulli, shift: Tensor) -> tuple[Tensor, ...]:
    return (variables.logits + shift,)
