"""Mixture: members of a family, with weights -> a distribution; MixturePrior: a learned one."""

from __future__ import annotations

import math
from typing import Any, ClassVar

import torch
import torch.distributions as td
from jaxtyping import Float
from torch import Size, Tensor, nn

from vae_lightning.construction.arguments import check_kinds
from vae_lightning.distributions import checked_component, component
from vae_lightning.families import ExponentialFamily
from vae_lightning.metrics.functional.aggregated import CHUNK, aggregated_log_prob
from vae_lightning.priors.base import Prior


class Mixture(td.Distribution):
    """p(z) = sum_k w_k p(z | eta_k), of batch shape () and event shape Z.

    The density of Gaussian and Bernoulli members is one matrix product per chunk of points and members, in float64,
    so that neither many members nor many samples take memory; any other family goes through its own `log_prob`.
    Without weights all members are equally likely, and each sample comes from one drawn uniformly.

    Args:
        family: of the members.
        eta: (K, P), their natural parameters.
        logits: (K,), log w_k up to a constant.
        chunk: members and points in one block of the density.

    Examples:
        >>> import torch
        >>> from vae_lightning.families import Normal
        >>> from vae_lightning.priors import Mixture
        >>> family = Normal(1, scale=1.0)
        >>> p = Mixture(family, family.constrain(torch.tensor([[-3.0], [3.0]])))
        >>> p.mean, p.log_prob(torch.tensor([[-3.0], [0.0], [3.0]]))
        (tensor([0.]), tensor([-1.6121, -5.4189, -1.6121]))
    """

    arg_constraints: ClassVar[dict[str, Any]] = {}

    def __init__(
        self,
        family: ExponentialFamily,
        eta: Float[Tensor, "K P"],
        logits: Float[Tensor, " K"] | None = None,
        chunk: int = CHUNK,
    ) -> None:
        super().__init__(Size(), family.event_shape, validate_args=False)
        self.family, self.eta, self.logits, self.chunk = family, eta, logits, chunk

    @property
    def members(self) -> td.Distribution:
        """p(z | eta_k), of batch shape (K,)."""
        return self.family.distribution(self.eta)

    def expand(self, batch_shape: Any, _instance: Any = None) -> td.Distribution:
        """The same density for every entry of a batch."""
        new = type(self)(self.family, self.eta, self.logits, self.chunk)
        new._batch_shape = Size(batch_shape)
        return new

    @property
    def mean(self) -> Tensor:
        """sum_k w_k E[z | eta_k]."""
        means = self.members.mean
        logits = self.eta.new_zeros(len(means)) if self.logits is None else self.logits
        return torch.tensordot(logits.softmax(0), means, 1).expand(self.batch_shape + self.event_shape)

    def log_prob(self, z: Float[Tensor, "*batch_and_event"]) -> Float[Tensor, "*batch"]:
        """(*B, *Z) -> (*B), in nats, in the type of z."""
        logits = self.logits
        if logits is not None:  # the weights relative to equal ones
            logits = logits.log_softmax(0) + math.log(len(logits))
        return aggregated_log_prob(self.members, z, self.chunk, logits).to(z.dtype)

    def sample(self, sample_shape: Any = ()) -> Tensor:
        """(*S, *B, *Z), with no gradient."""
        shape = Size(sample_shape) + self.batch_shape
        logits = self.eta.new_zeros(len(self.eta)) if self.logits is None else self.logits
        with torch.no_grad():
            which = td.Categorical(logits=logits).sample(Size([shape.numel()]))
            return self.family.distribution(self.eta[which]).sample().reshape(shape + self.event_shape)


@component.register
def _(p: Mixture, k: int) -> td.Distribution:
    return p.family.distribution(p.eta[checked_component(k, len(p.eta))])


class MixturePrior(Prior):
    """p(z) = sum_k w_k p(z | eta_k): K members of a family, their weights and parameters learned with the model.

    For `families.Normal` a mixture of diagonal Gaussians, whose means start as draws from N(0, 1) and whose scales
    start at one; for `families.Bernoulli` one of independent bits. Starts with equal weights.
    ValueError unless num_components >= 1.

    Examples:
        >>> from vae_lightning.families import Normal
        >>> from vae_lightning.priors import MixturePrior
        >>> prior = MixturePrior(Normal(2), num_components=10)
        >>> sum(p.numel() for p in prior.parameters())  # 10 means, 10 log sigmas of two entries, 10 logits
        50
        >>> prior().sample((5,)).shape
        torch.Size([5, 2])
    """

    def __init__(self, family: ExponentialFamily, num_components: int = 10) -> None:
        check_kinds(MixturePrior, locals())
        super().__init__()
        if num_components < 1:
            raise ValueError(f"MixturePrior needs num_components >= 1, got {num_components}")
        self.family, self.event_shape = family, family.event_shape
        theta = torch.zeros(num_components, family.num_parameters)
        start = family.coupled  # the means of Gaussians, the logits of bits
        theta[:, start] = torch.randn(theta[:, start].shape)
        self.theta = nn.Parameter(theta)
        self.logits = nn.Parameter(torch.zeros(num_components))

    def forward(self) -> td.Distribution:
        """p(z)."""
        return Mixture(self.family, self.family.constrain(self.theta), self.logits)
