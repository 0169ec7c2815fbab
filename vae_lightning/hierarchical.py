"""Chain: p(z2) and p(z1 | z2) -> their joint; HierarchicalConditional: x -> q(z2 | x) q(z1 | x, z2)."""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import Any, ClassVar

import torch
import torch.distributions as td
from jaxtyping import Float
from torch import Size, Tensor, nn

from vae_lightning.conditional import Conditional, Network
from vae_lightning.distributions import component, first_level, mean_code
from vae_lightning.families import ExponentialFamily
from vae_lightning.families.shown import reader


class Chain(td.Distribution):
    """p(z2, z1) = p(z2) p(z1 | z2), over the vector (z2, z1) of event shape (d2 + d1,).

    `lower` takes z2 (*S, *B, d2) and returns the distribution of z1, of batch shape (*S, *B).
    """

    arg_constraints: ClassVar[dict[str, Any]] = {}

    def __init__(self, top: td.Distribution, lower: Callable[[Tensor], td.Distribution], lower_dim: int) -> None:
        self.top, self.lower, self.lower_dim = top, lower, lower_dim
        self.top_dim = top.event_shape[0]
        super().__init__(top.batch_shape, Size([self.top_dim + lower_dim]), validate_args=False)

    @property
    def has_rsample(self) -> bool:  # type: ignore[override]
        """Whether the top has; both levels are of one kind."""
        return self.top.has_rsample

    def expand(self, batch_shape: Any, _instance: Any = None) -> td.Distribution:
        """The same density for every entry of a batch."""
        return Chain(self.top.expand(batch_shape), self.lower, self.lower_dim)

    def rsample(self, sample_shape: Any = ()) -> Float[Tensor, "*batch d"]:
        """(*S, *B, d2 + d1), differentiable."""
        z2 = self.top.rsample(Size(sample_shape))
        return torch.cat((z2, self.lower(z2).rsample()), -1)

    def sample(self, sample_shape: Any = ()) -> Float[Tensor, "*batch d"]:
        """(*S, *B, d2 + d1), with no gradient."""
        with torch.no_grad():
            z2 = self.top.sample(Size(sample_shape))
            return torch.cat((z2, self.lower(z2).sample()), -1)

    def log_prob(self, z: Float[Tensor, "*batch d"]) -> Float[Tensor, "*rows"]:
        """Log p(z2) + log p(z1 | z2), in nats."""
        z2, z1 = z.split((self.top_dim, self.lower_dim), -1)
        return self.top.log_prob(z2) + self.lower(z2).log_prob(z1)


@first_level.register
def _(q: Chain) -> td.Distribution:
    return first_level(q.top)


@component.register
def _(p: Chain, k: int) -> td.Distribution:
    return Chain(component(p.top, k), p.lower, p.lower_dim)


@mean_code.register
def _(q: Chain) -> Tensor:
    z2 = mean_code(q.top)
    return torch.cat((z2, mean_code(q.lower(z2))), -1)


class HierarchicalConditional(nn.Module):
    """Q(z2 | x) q(z1 | x, z2), a `Chain` of two members of families of vectors; an encoder of two levels.

    The lower network sees the flat x with z2 behind it. Of x from a family `observed`, both see what that shows.
    ValueError for families of other than vectors.
    """

    def __init__(
        self,
        top: ExponentialFamily,
        lower: ExponentialFamily,
        context_shape: Size,
        top_network: Network,
        lower_network: Network,
        observed: ExponentialFamily | None = None,
    ) -> None:
        super().__init__()
        if len(top.event_shape) != 1 or len(lower.event_shape) != 1:
            raise ValueError(f"two levels need vectors, got {tuple(top.event_shape)} and {tuple(lower.event_shape)}")
        self.context_shape = Size(context_shape)
        self.event_shape = Size([top.event_shape[0] + lower.event_shape[0]])
        seen = self.context_shape if observed is None else observed.shown_shape
        self.observed = observed
        self.top = Conditional(top, context_shape, top_network if observed is None else reader(observed, top_network))
        self.lower = Conditional(lower, (prod(seen) + top.event_shape[0],), lower_network)

    def prototype(self) -> Chain:
        """One of its kind, batch shape (1,), told without data."""
        return self(next(self.parameters()).new_zeros(1, *self.context_shape))

    def forward(self, x: Float[Tensor, "batch *observation"]) -> Chain:
        """Q(. | x), of batch shape (B,)."""
        seen = x if self.observed is None else self.observed.shown(x)

        def lower(z2: Tensor) -> td.Distribution:
            return self.lower(torch.cat((seen.flatten(1).expand(*z2.shape[:-1], -1), z2), -1))

        return Chain(self.top(x), lower, self.lower.event_shape[0])
