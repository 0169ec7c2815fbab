"""BlockGaussian: a mean and a triangular factor for each block of variables -> Gaussians correlated within blocks."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cached_property
from typing import Any

import torch
import torch.distributions as td
from jaxtyping import Float
from torch import Size, Tensor
from torch.distributions import constraints

_CONSTANT = 0.5 * (1 + math.log(2 * math.pi))  # entropy of N(0, 1)


class BlockGaussian(td.Distribution):
    """Gaussian variables in blocks, N(mean, L L^T) each, that do not depend on those of other blocks.

    Args:
        loc: (*B, d), the means, block after block.
        scale_tril: (*B, d / k, k, k), for each block a lower triangular L with a positive diagonal.
        event_shape: the shape of a value, of d entries; by default (d,).

    Examples:
        >>> import torch
        >>> from vae_lightning.distributions import BlockGaussian
        >>> factor = torch.tensor([[1.0, 0.0], [0.6, 0.8]]).expand(2, 2, 2)  # two pairs, each of correlation 0.6
        >>> q = BlockGaussian(torch.zeros(4), factor)
        >>> q.rsample((7,)).shape, q.variance, round(q.entropy().item(), 4)  # 4 * 1.4189 + 2 log 0.8
        (torch.Size([7, 4]), tensor([1., 1., 1., 1.]), 5.2295)
    """

    arg_constraints = {}  # noqa: RUF012  (torch's own convention)
    has_rsample = True

    def __init__(
        self,
        loc: Float[Tensor, "*B d"],
        scale_tril: Float[Tensor, "*B m k k"],
        event_shape: Sequence[int] | None = None,
    ) -> None:
        super().__init__(loc.shape[:-1], Size(event_shape or loc.shape[-1:]), validate_args=False)
        self.loc, self.scale_tril = loc, scale_tril

    @property
    def support(self) -> Any:
        """All reals."""
        return constraints.independent(constraints.real, len(self.event_shape))

    @property
    def mean(self) -> Tensor:
        """(*B, *E)."""
        return self.loc.unflatten(-1, self.event_shape)

    @property
    def mode(self) -> Tensor:
        """The mean."""
        return self.mean

    @property
    def variance(self) -> Tensor:
        """Of each variable alone, (*B, *E)."""
        return self.scale_tril.square().sum(-1).flatten(-2).unflatten(-1, self.event_shape)

    @property
    def covariance(self) -> Float[Tensor, "*B m k k"]:
        """Of each block."""
        return self.scale_tril @ self.scale_tril.mT

    @cached_property
    def inverse_tril(self) -> Float[Tensor, "*B m k k"]:
        """L^-1, which is triangular, too."""
        factor = self.scale_tril.to(torch.promote_types(self.scale_tril.dtype, torch.float32))  # what torch solves
        identity = torch.eye(factor.shape[-1], dtype=factor.dtype, device=factor.device).expand_as(factor)
        return torch.linalg.solve_triangular(factor, identity, upper=False).to(self.scale_tril)

    def expand(self, batch_shape: Any, _instance: Any = None) -> BlockGaussian:
        """The same for every entry of a batch."""
        loc = self.loc.expand(*batch_shape, -1)
        return BlockGaussian(loc, self.scale_tril.expand(*batch_shape, -1, -1, -1), self.event_shape)

    def from_noise(self, noise: Float[Tensor, "*S d"]) -> Float[Tensor, "..."]:
        """Mean + L noise, (*S, *E), of standard noise (*S, d)."""
        blocks = noise.unflatten(-1, self.scale_tril.shape[-3:-1])
        around = torch.einsum("...ij,...j->...i", self.scale_tril, blocks)
        return (self.loc + around.flatten(-2)).unflatten(-1, self.event_shape)

    def rsample(self, sample_shape: Any = ()) -> Tensor:
        """(*S, *B, *E)."""
        return self.from_noise(
            torch.randn(*sample_shape, *self.loc.shape, dtype=self.loc.dtype, device=self.loc.device)
        )

    def log_prob(self, value: Tensor) -> Tensor:
        """In nats, over all blocks together."""
        apart = value.flatten(value.ndim - len(self.event_shape)) - self.loc
        blocks = apart.unflatten(-1, self.scale_tril.shape[-3:-1])
        noise = torch.einsum("...ij,...j->...i", self.inverse_tril, blocks)  # samples share one L^-1
        constant = 0.5 * math.log(2 * math.pi) * self.loc.shape[-1]
        return -0.5 * noise.square().sum((-2, -1)) - self.log_determinant - constant

    def entropy(self) -> Tensor:
        """In nats, (*B)."""
        return self.log_determinant + _CONSTANT * self.loc.shape[-1]

    @property
    def log_determinant(self) -> Float[Tensor, "*B"]:
        """log |det L|, of all blocks together."""
        return self.scale_tril.diagonal(dim1=-2, dim2=-1).log().sum((-2, -1))


@td.register_kl(BlockGaussian, td.Independent)  # type: ignore[untyped-decorator]
def _kl_to_independent(q: BlockGaussian, p: Any) -> Tensor:
    """To Gaussians that do not depend on each other: q's marginal variances and its determinant say all."""
    variables = p.base_dist
    if not isinstance(variables, td.Normal) or p.event_shape != q.event_shape:
        raise NotImplementedError
    squares = (q.variance + (q.mean - variables.loc).square()) / variables.variance
    terms = 0.5 * (squares - 1) + variables.scale.log()
    return terms.flatten(terms.ndim - len(q.event_shape)).sum(-1) - q.log_determinant


@td.register_kl(BlockGaussian, BlockGaussian)  # type: ignore[untyped-decorator]
def _kl(q: BlockGaussian, p: BlockGaussian) -> Tensor:
    if q.scale_tril.shape[-3:] != p.scale_tril.shape[-3:]:
        raise NotImplementedError
    inverse = p.inverse_tril
    ratio = (inverse @ q.scale_tril).square().sum((-3, -2, -1))
    apart = (q.loc - p.loc).unflatten(-1, q.scale_tril.shape[-3:-1])
    distance = torch.einsum("...ij,...j->...i", inverse, apart).square().sum((-2, -1))
    return 0.5 * (ratio + distance - q.loc.shape[-1]) + p.log_determinant - q.log_determinant
