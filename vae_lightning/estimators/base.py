"""Gradient estimators: a distribution q and a function f of its samples -> a bound whose gradient is unbiased."""

from __future__ import annotations

import abc
import math
from collections.abc import Callable

import torch
import torch.distributions as td
from jaxtyping import Float
from torch import Tensor, nn

from vae_lightning.construction.arguments import check_kinds
from vae_lightning.distributions import as_bits, family_name
from vae_lightning.randomness import Noise

Integrand = Callable[[Tensor], Tensor]
"""f: samples (S, B, *Z) -> (S, B)."""

Aggregate = Callable[[Tensor], Tensor]
"""Samples to a bound, (S, *) -> (*): `mean` for the ELBO, `log_mean_exp` for the importance-weighted bound."""


def mean(f: Float[Tensor, "samples *rest"]) -> Float[Tensor, "*rest"]:
    """1/S sum_s f_s: the ELBO's aggregate."""
    return f.mean(0)


def log_mean_exp(f: Float[Tensor, "samples *rest"]) -> Float[Tensor, "*rest"]:
    """Log 1/S sum_s exp f_s: the aggregate of the importance-weighted bound (Burda et al. 2016, Eq. 8)."""
    return f.logsumexp(0) - math.log(len(f))


class GradientEstimator(nn.Module, abc.ABC):
    """A bound E_q[aggregate(f(z_1), ..., f(z_S))] and an unbiased gradient of it.

    `forward(q, f, aggregate)` returns (B,): its value is an unbiased sample of the bound, its backward an unbiased
    gradient with respect to the parameters of q and of f. All noise comes from `noise`, which can be replaced.
    `pathwise` says whether the gradient for q's parameters runs through the samples (under vmap they do not tell).
    """

    pathwise: bool = False

    def __init__(self, num_samples: int = 1) -> None:
        check_kinds(GradientEstimator, locals())
        super().__init__()
        if num_samples < 1:
            raise ValueError(f"{type(self).__name__} needs num_samples >= 1, got {num_samples}")
        self.num_samples = num_samples
        self.noise = Noise()

    @abc.abstractmethod
    def forward(self, q: td.Distribution, f: Integrand, aggregate: Aggregate = mean) -> Float[Tensor, " batch"]:
        """The bound, (B,)."""

    def check(self, q: td.Distribution) -> None:
        """Raise TypeError, saying which estimator to use instead, if this one does not fit distributions like q."""

    def extra_repr(self) -> str:
        """Shown by print(model)."""
        return f"num_samples={self.num_samples}"


def bernoulli_logits(q: td.Distribution, name: str) -> Float[Tensor, "batch *latent"]:
    """The logits of a factorised Bernoulli distribution; TypeError for any other."""
    bits = as_bits(q)
    if bits is None or not q.event_shape:
        raise TypeError(
            f"{name} needs a factorised Bernoulli posterior, got {family_name(q)}; use LeaveOneOut for other ones"
        )
    return bits.logits


def local_signals(
    f: Float[Tensor, "samples batch"], replacement: Float[Tensor, "samples batch"], aggregate: Aggregate
) -> Float[Tensor, "samples batch"]:
    """How much the bound owes to each sample: F(f) - F(f with f_k replaced), one row for each k.

    Where the replacement of sample k does not depend on z_k, this is a learning signal with an unbiased baseline:
    replaced by the mean of the others it is RLOO under `mean` and VIMCO under `log_mean_exp`; replaced by the value
    at an antithetic sample it is the difference that ARM and DisARM need.
    """
    if len(f) == 1:
        return aggregate(f)[None] - aggregate(replacement)[None]
    own = torch.eye(len(f), dtype=torch.bool, device=f.device).reshape(len(f), len(f), *[1] * (f.ndim - 1))
    return aggregate(f)[None] - aggregate(torch.where(own, replacement[:, None], f[:, None]))
