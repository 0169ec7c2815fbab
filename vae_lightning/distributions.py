"""Distributions: q -> what kind of distribution it is: its name, parameters, samples, natural form and values."""

from __future__ import annotations

import functools
import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import torch
import torch.distributions as td
import torch.nn.functional as F
from jaxtyping import Float, Float64, Int64
from torch import Size, Tensor
from torch.distributions import constraints

from vae_lightning.randomness import Noise

HELD_BITS, SUMMED_BITS, PAIRED_BITS = 16, 20, 12
"""What is listed has at most 2^16 values where all are held at once, 2^20 where they are summed a chunk at a time, and
2^12 where each is paired with as many others, or has a row of outputs of its own."""

_ROWS = 1024  # of float64 copies at once


# -- what q is -------------------------------------------------------------------------------------------------------


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
def first_level(q: td.Distribution) -> td.Distribution:
    """The level that is drawn first; by default q has one level alone."""
    return q


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


# -- its parameters --------------------------------------------------------------------------------------------------


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


# -- its samples -----------------------------------------------------------------------------------------------------


def sample(q: td.Distribution, num_samples: int, noise: Noise) -> Float[Tensor, "samples batch *latent"]:
    """Samples of q that carry no gradient; bits are drawn as 1[u < p], which is five times faster than sampling.

    Bernoulli, Categorical and Normal variables take their randomness from `noise`, others from torch's generator.
    """
    with torch.no_grad():
        return _sample(q.base_dist if isinstance(q, td.Independent) else q, num_samples, noise)


@functools.singledispatch
def _sample(variables: td.Distribution, num_samples: int, noise: Noise) -> Tensor:
    return variables.sample(Size([num_samples]))


@_sample.register
def _(variables: td.Bernoulli, num_samples: int, noise: Noise) -> Tensor:
    p = variables.logits.sigmoid()
    return (noise.uniform((num_samples, *p.shape), p) < p).to(p.dtype)


@_sample.register
def _(variables: td.OneHotCategorical, num_samples: int, noise: Noise) -> Tensor:
    logits = variables.logits
    gumbel = -(-noise.uniform((num_samples, *logits.shape), logits).log()).log()
    return F.one_hot((logits + gumbel).argmax(-1), logits.shape[-1]).to(logits.dtype)


@_sample.register
def _(variables: td.Normal, num_samples: int, noise: Noise) -> Tensor:
    return variables.loc + variables.scale * noise.normal((num_samples, *variables.loc.shape), variables.loc)


def rsample(q: td.Distribution, num_samples: int, noise: Noise) -> Float[Tensor, "samples batch *latent"]:
    """Samples of q that are differentiated through; Normal variables take their randomness from `noise`."""
    variables = q.base_dist if isinstance(q, td.Independent) else q
    if isinstance(variables, td.Normal):
        return variables.loc + variables.scale * noise.normal((num_samples, *variables.loc.shape), variables.loc)
    return q.rsample(Size([num_samples]))


# -- its natural form ------------------------------------------------------------------------------------------------


def natural_form(q: td.Distribution) -> tuple[Float64[Tensor, "N P"], Float64[Tensor, " N"]] | None:
    """(eta, A) with log q(z | x_n) = <eta_n, T(z)> - A_n, for independent Gaussians or bits; None for another family.

    Gaussian: eta = (mean / sigma^2, -1 / (2 sigma^2)), T(z) = (z, z^2), with the base measure within A; bits: eta the
    logits, T(z) = z. In float64, where sharp posteriors lose no digits that matter. Batch shape (N,).
    """
    variables = factors(q)
    return None if variables is None or len(q.batch_shape) != 1 else _natural_form(variables)


@functools.singledispatch
def _natural_form(variables: td.Distribution) -> tuple[Tensor, Tensor] | None:
    return None


@_natural_form.register
def _(variables: td.Normal) -> tuple[Tensor, Tensor]:
    # a block at a time: a dozen float64 tensors of all the data would be the peak of ELBO surgery
    pairs = zip(variables.loc.flatten(1).split(_ROWS), variables.scale.flatten(1).split(_ROWS), strict=True)
    eta, log_normaliser = zip(*(_gaussian(mean.double(), scale.double()) for mean, scale in pairs), strict=True)
    return torch.cat(eta), torch.cat(log_normaliser)


def _gaussian(mean: Float64[Tensor, "N d"], scale: Float64[Tensor, "N d"]) -> tuple[Tensor, Tensor]:
    precision = scale.square().reciprocal()
    log_normaliser = 0.5 * mean.square() * precision + scale.log() + 0.5 * math.log(2 * math.pi)
    return torch.cat((mean * precision, -0.5 * precision), -1), log_normaliser.sum(-1)


@_natural_form.register
def _(variables: td.Bernoulli) -> tuple[Tensor, Tensor]:
    logits = variables.logits.double().flatten(1)
    return logits, F.softplus(logits).sum(-1)


# -- its values ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class States:
    """The values of so many variables, each with so many options, numbered from 0 with the first variable slowest."""

    event_shape: Size
    options: int
    variables: int

    @property
    def bits(self) -> float:
        """Log2 of how many values there are."""
        return self.variables * math.log2(self.options)

    @property
    def count(self) -> int:
        """How many values there are."""
        return self.options**self.variables

    def numbered(self, index: Int64[Tensor, "*N"], like: Tensor) -> Float[Tensor, "..."]:
        """The values with these numbers, (*N, *E), in the dtype of `like`: bits, or one-hot vectors."""
        place = torch.tensor([self.options**i for i in reversed(range(self.variables))], device=index.device)
        digits = index[..., None] // place % self.options
        one_hot = self.variables < self.event_shape.numel()
        x = F.one_hot(digits, self.options) if one_hot else digits
        return x.to(like.dtype).reshape(*index.shape, *self.event_shape)

    def every(self, like: Tensor) -> Float[Tensor, "states *event"]:
        """All values in order, in the dtype and on the device of `like`."""
        return self.numbered(torch.arange(self.count, device=like.device), like)


def states(q: td.Distribution) -> States | None:
    """The values that q can take: of independent discrete variables, or bits that depend on each other; else None."""
    variables = base(q)
    if not variables.has_enumerate_support:
        return None
    if variables is not q:
        number = variables.batch_shape[len(q.batch_shape) :].numel()
        return States(q.event_shape, len(variables.enumerate_support(expand=False)), number)
    bits = isinstance(q.support, constraints.independent) and q.support.base_constraint is constraints.boolean
    return States(q.event_shape, 2, q.event_shape.numel()) if bits else None


def enumerate_codes(q: td.Distribution) -> Float[Tensor, "codes *batch_and_latent"]:
    """Every value q can take, (codes, B, *Z), first variable slowest."""
    variables, values = factors(q), states(q)
    if variables is None or values is None:
        return q.enumerate_support()
    codes = values.every(variables.enumerate_support(expand=False))
    shape = (len(codes), *q.batch_shape, *q.event_shape)
    return codes.reshape(len(codes), *[1] * len(q.batch_shape), *q.event_shape).expand(shape)
