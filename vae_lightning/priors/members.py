"""EqualMixture: a distribution of K rows -> the mixture of all of them with equal weights."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
import torch.distributions as td
from torch import Size, Tensor

from vae_lightning.distributions import checked_component, component, packed, unpacked
from vae_lightning.metrics.functional.aggregated import CHUNK, aggregated_log_prob


class EqualMixture(td.Distribution):
    """p(z) = 1/K sum_k q_k(z), of batch shape () and event shape Z; q is correlated Gaussians or a flow.

    Args:
        members: q, of batch shape (K,).
        chunk: members and points in one block of the density.

    Examples:
        >>> import torch
        >>> from vae_lightning.families import BlockNormal
        >>> from vae_lightning.priors.members import EqualMixture
        >>> p = EqualMixture(BlockNormal(2, 2).member(torch.randn(10, 5)))
        >>> p.log_prob(p.sample((3,))).shape
        torch.Size([3])
    """

    arg_constraints: ClassVar[dict[str, Any]] = {}

    def __init__(self, members: td.Distribution, chunk: int = CHUNK) -> None:
        super().__init__(Size(), members.event_shape, validate_args=False)
        self.members, self.chunk = members, chunk

    def expand(self, batch_shape: Any, _instance: Any = None) -> td.Distribution:
        """The same density for every entry of a batch."""
        new = EqualMixture(self.members, self.chunk)
        new._batch_shape = Size(batch_shape)
        return new

    @property
    def mean(self) -> Tensor:
        """That of the members' means."""
        return self.members.mean.mean(0).expand(self.batch_shape + self.event_shape)

    def log_prob(self, z: Tensor) -> Tensor:
        """(*B, *Z) -> (*B), in nats, in the type of z."""
        return aggregated_log_prob(self.members, z, self.chunk).to(z.dtype)

    @torch.no_grad()
    def sample(self, sample_shape: Any = ()) -> Tensor:
        """(*S, *B, *Z), each from a member drawn uniformly, with no gradient."""
        shape = Size(sample_shape) + self.batch_shape
        rows = packed(self.members)
        assert rows is not None, "of other members there is `Mixture`"
        which = torch.randint(len(rows), (shape.numel(),), device=rows.device)
        return unpacked(self.members, rows[which]).sample().reshape(shape + self.event_shape)


@component.register
def _(p: EqualMixture, k: int) -> td.Distribution:
    rows = packed(p.members)
    assert rows is not None, "of other members there is `Mixture`"
    return unpacked(p.members, rows[checked_component(k, len(rows))])
