"""Importance sampling of log p(x): a model and observations -> log-weights, in bounded memory."""

from __future__ import annotations

import abc
import math
from collections.abc import Iterator
from typing import Protocol, runtime_checkable

import torch
import torch.distributions as td
from jaxtyping import Float64
from torch import Tensor

from vae_lightning.construction.arguments import check_kinds
from vae_lightning.construction.asking import AsksTheObject
from vae_lightning.counts import Counts, device_of, select
from vae_lightning.distributions import family_name, sample, widened
from vae_lightning.latent_variable import ConditionalLike
from vae_lightning.priors import Prior
from vae_lightning.randomness import Noise

NUMBERS_CPU, NUMBERS_GPU = 2**21, 2**25
"""How many numbers of observations the decoder emits at once: what stays near the processor, or fills the device."""

WEIGHTS = 2**20
"""How many log-weights are given at once: reading them takes some ten times their 8 megabytes."""


@runtime_checkable
class Weighed(Protocol, metaclass=AsksTheObject):
    """What importance sampling asks of a model; a `LatentVariableModel` is one."""

    encoder: ConditionalLike
    decoder: ConditionalLike
    prior: Prior

    def log_likelihood(self, x: Tensor | Counts, z: Tensor) -> Tensor:
        """Log p(x | z), (S, B)."""


class Proposal(abc.ABC):
    """What importance samples are drawn from, made of the posterior q(z | x)."""

    @property
    def is_posterior(self) -> bool:
        """Whether it is q(z | x) itself, so that the bound of one sample is the ELBO."""
        return False

    @abc.abstractmethod
    def __call__(self, q: td.Distribution) -> td.Distribution:
        """The proposal, of the shape of q; TypeError for a q it cannot be made of."""


class Posterior(Proposal):
    """The encoder's q(z | x) as it is.

    Examples:
        >>> import torch
        >>> from vae_lightning.families import Normal
        >>> from vae_lightning.inference import Posterior
        >>> q = Normal(2, scale=1.0).distribution(torch.zeros(5, 2))
        >>> Posterior()(q) is q
        True
    """

    @property
    def is_posterior(self) -> bool:
        """True."""
        return True

    def __call__(self, q: td.Distribution) -> td.Distribution:
        """Q itself."""
        return q


class Inflated(Proposal):
    """A Gaussian q(z | x) with its variance multiplied by a factor, to cover the tails of the true posterior.

    q fitted by KL(q || p) is too narrow where the true posterior's variables depend on each other, and the weights'
    variance may then be infinite. In return a wider proposal wastes samples: where q was right in d dimensions, a share
    (sqrt(2 v - 1) / v)^d of them counts, 0.87^d for v = 2.

    Source: Yacoby, Pan, Doshi-Velez, Characterizing and Avoiding Problematic Global Optima of Variational Autoencoders
    (2019), below Eq. 48: the variance, not the deviation, times 2.

    Args:
        variance: the factor, > 0.

    Examples:
        >>> import torch
        >>> from vae_lightning.families import Normal
        >>> from vae_lightning.inference import Inflated
        >>> q = Normal(2, scale=1.0).distribution(torch.zeros(5, 2))
        >>> Inflated(2.0)(q).variance[0].round(decimals=4)
        tensor([2., 2.])
    """

    def __init__(self, variance: float = 2.0) -> None:
        check_kinds(Inflated, locals())
        if not 0 < variance < math.inf:
            raise ValueError(f"Inflated multiplies the variance by a positive finite factor, got {variance}")
        self.variance = variance

    def __call__(self, q: td.Distribution) -> td.Distribution:
        """N(mean, variance * covariance), also as what a flow maps; TypeError unless q is of Gaussians."""
        wider = widened(q, math.sqrt(self.variance))
        if wider is None:
            name = family_name(q)
            raise TypeError(
                f"Inflated needs a posterior in blocks, a flow or independent Gaussians, got {name}: use Posterior()"
            )
        return wider


def log_weights(
    model: Weighed,
    x: Tensor | Counts,
    num_samples: int,
    proposal: Proposal | None = None,
    noise: Noise | None = None,
    chunk: int | None = None,
) -> Iterator[Float64[Tensor, "samples rows"]]:
    """Log p(x, z_k) / q(z_k | x) of K samples for a batch of observations, in their order, some rows at a time.

    Each row is encoded once, in full precision, without gradient. Memory is bounded: the decoder sees at most `chunk`
    pairs of a sample and an observation at once, and at most max(K, 2^20) log-weights, in float64, are given at once.

    Args:
        model: encoder, decoder and prior.
        x: (B, *X), or B rows of counts.
        num_samples: K.
        proposal: what z_k is drawn from in place of q(z | x).
        noise: where it takes its randomness from.
        chunk: rows of the decoder at once; by default as many as emit 2^21 numbers, 2^25 on a GPU.

    ValueError for K or a chunk below 1, and where there are no rows.
    """
    check_samples(num_samples, chunk)
    if not len(x):
        raise ValueError("there are no rows to weigh samples for")
    proposal, noise, chunk = proposal or Posterior(), noise or Noise(), chunk or rows_at_once(model, x)
    pieces = -(-len(x) // min(chunk, max(1, WEIGHTS // num_samples)))
    for rows in torch.arange(len(x)).tensor_split(pieces):
        part = select(x, rows) if pieces > 1 else x
        with torch.no_grad(), torch.autocast(device_of(x).type, enabled=False):
            q = proposal(model.encoder(part))
        yield log_weights_of(model, part, q, num_samples, noise, chunk)


@torch.no_grad()
def log_weights_of(
    model: Weighed,
    x: Tensor | Counts,
    q: td.Distribution,
    num_samples: int,
    noise: Noise,
    chunk: int | None = None,
) -> Float64[Tensor, "samples batch"]:
    """The same for all of a batch and any q of it: K samples, at most max(chunk, B) rows of the decoder at once."""
    chunk = chunk or rows_at_once(model, x)
    log_weight = torch.empty(num_samples, len(x), dtype=torch.float64, device=device_of(x))
    with torch.autocast(log_weight.device.type, enabled=False):
        prior = model.prior()  # once: that of an aggregated posterior encodes its observations
        for part in log_weight.split(max(1, chunk // len(x))):
            z = sample(q, len(part), noise)
            part.copy_(model.log_likelihood(x, z)).add_(prior.log_prob(z)).sub_(q.log_prob(z))
    return log_weight


def rows_at_once(model: Weighed, x: Tensor | Counts) -> int:
    """How many rows the decoder takes at once by default, where these observations are."""
    numbers = NUMBERS_CPU if device_of(x).type == "cpu" else NUMBERS_GPU
    return max(1, numbers // max(1, model.decoder.event_shape.numel()))


def check_samples(num_samples: int, chunk: int | None) -> None:
    """ValueError for either below 1."""
    for name, value in {"num_samples": num_samples, "chunk": 1 if chunk is None else chunk}.items():
        if value < 1:
            raise ValueError(f"importance sampling needs {name} >= 1, got {value}")
