"""Flowed: independent Gaussians and a bijection that depends on a context -> a distribution of what it maps them to."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.distributions as td
from jaxtyping import Float
from torch import Size, Tensor
from torch.distributions import Transform, constraints

_DRAWN = 64  # antithetic draws that the mean is taken over

Flow = Callable[[Tensor], Transform]
"""From contexts (*B, c) to a bijection of codes (*S, *B, d) to Gaussians, with `inv` and `log_abs_det_jacobian`."""


class Flowed(td.Distribution):
    """z with f(z; c) ~ N(loc, diag scale^2): log q(z) = log N(f(z; c)) + log |det df / dz|.

    Its mean and variance have no closed form: they are those of 64 antithetic draws, under noise that is always the
    same.

    Args:
        loc: (*B, d).
        scale: (*B, d).
        context: (*B, c), what the flow depends on.
        flow: f, from contexts to bijections.
        event_shape: the shape of z, of d entries.
    """

    arg_constraints = {}  # noqa: RUF012  (torch's own convention)
    has_rsample = True

    def __init__(
        self,
        loc: Float[Tensor, "*B d"],
        scale: Float[Tensor, "*B d"],
        context: Float[Tensor, "*B c"],
        flow: Flow,
        event_shape: Size,
    ) -> None:
        super().__init__(loc.shape[:-1], event_shape, validate_args=False)
        self.loc, self.scale, self.context, self.flow = loc, scale, context, flow

    @property
    def support(self) -> Any:
        """All reals."""
        return constraints.independent(constraints.real, len(self.event_shape))

    def expand(self, batch_shape: Any, _instance: Any = None) -> Flowed:
        """The same for every entry of a batch."""
        loc, scale, context = (each.expand(*batch_shape, -1) for each in (self.loc, self.scale, self.context))
        return Flowed(loc, scale, context, self.flow, self.event_shape)

    def from_noise(self, noise: Float[Tensor, "*S d"]) -> Float[Tensor, "..."]:
        """The z, (*S, *E), of standard noise (*S, d)."""
        with torch.autocast(self.loc.device.type, enabled=False):
            return self.flow(self.context).inv(self.loc + self.scale * noise).unflatten(-1, self.event_shape)

    def rsample(self, sample_shape: Any = ()) -> Tensor:
        """(*S, *B, *E)."""
        shape = *sample_shape, *self.loc.shape
        return self.from_noise(torch.randn(*shape, dtype=self.loc.dtype, device=self.loc.device))

    def log_prob(self, value: Tensor) -> Tensor:
        """In nats."""
        z, transform = value.flatten(value.ndim - len(self.event_shape)), self.flow(self.context)
        with torch.autocast(self.loc.device.type, enabled=False):
            z = z.expand(torch.broadcast_shapes(z.shape, self.loc.shape)).to(self.loc)
            noise = transform(z)
            stretched = transform.log_abs_det_jacobian(z, noise)
        return td.Normal(self.loc, self.scale, validate_args=False).log_prob(noise).sum(-1) + stretched

    @property
    def mean(self) -> Tensor:
        """(*B, *E), by draws under the same noise."""
        return self._drawn().mean(0)

    @property
    def variance(self) -> Tensor:
        """(*B, *E), by draws under the same noise."""
        return self._drawn().var(0)

    def _drawn(self) -> Tensor:
        source = torch.Generator().manual_seed(0)
        half = torch.randn(_DRAWN // 2, self.loc.shape[-1], generator=source, dtype=torch.float64).to(self.loc)
        noise = torch.cat((half, -half)).reshape(_DRAWN, *[1] * len(self.batch_shape), -1)
        return self.from_noise(noise.expand(_DRAWN, *self.loc.shape))
