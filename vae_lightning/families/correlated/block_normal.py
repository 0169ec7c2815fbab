"""BlockNormal: means, log standard deviations and correlations -> Gaussian variables correlated within blocks."""

from __future__ import annotations

import math
from collections.abc import Sequence
from math import prod

import torch
from jaxtyping import Float
from torch import Tensor

from vae_lightning.construction.arguments import check_kinds
from vae_lightning.distributions.block_gaussian import BlockGaussian
from vae_lightning.families.base import ExponentialFamily, as_event_shape

_MAX_LOG_SIGMA, _MAX_SLOPE = 15.0, 30.0
_EDGE = 1e-3
_CONSTANT = 0.5 * math.log(2 * math.pi)


class BlockNormal(ExponentialFamily):
    """Gaussian variables cut into blocks of k, N(mean, L L^T) each: full covariance within a block, none across.

    k = 1 is `Normal`; k = d, one block, is the Gaussian of full covariance. With P = (L L^T)^-1 and i > j in one block,

        T(x) = (x, x_i^2, x_i x_j),  eta = (P mean, -P_ii / 2, -P_ij),
        A(eta) = mean^T P mean / 2 + log det L,  h(x) = (2 pi)^(-d / 2).

    A network emits (mean, log sigma, u), d (k + 3) / 2 numbers: row i of L is sigma_i (u_i1, .., u_i,i-1, sqrt k) over
    the length of that vector. So sigma are the standard deviations of the variables, whatever u, and u = 0 is `Normal`.
    Sigma stays within e^-15 and e^15, and |u| / sqrt k within 30, a correlation of 0.9994 for a pair.
    `member(theta)` makes the distribution from L itself, as a Conditional does: by way of eta a correlation near one
    loses digits. ValueError unless the blocks are of one size.

    Args:
        event_shape: of x, of d entries, which blocks take in order.
        block: k, a divisor of d.

    Examples:
        >>> import torch
        >>> from vae_lightning.families import BlockNormal
        >>> family = BlockNormal(4, block=2)
        >>> family.num_parameters  # four means, four log sigmas, and a correlation for each pair
        10
        >>> q = family.member(torch.tensor([0.0, 0, 0, 0, 0, 0, 0, 0, 2**0.5, 0]))
        >>> q.covariance.round(decimals=4)  # the first pair has correlation 1 / sqrt 2
        tensor([[[1.0000, 0.7071],
                 [0.7071, 1.0000]],
        <BLANKLINE>
                [[1.0000, 0.0000],
                 [0.0000, 1.0000]]])
    """

    def __init__(self, event_shape: int | Sequence[int] | None = None, block: int = 10) -> None:
        check_kinds(BlockNormal, locals())
        self.event_shape, self.block = as_event_shape(event_shape, "BlockNormal"), block
        self.size = prod(self.event_shape)
        if block < 1 or self.size % block:
            fitting = max(k for k in range(1, max(1, min(block, self.size)) + 1) if not self.size % k)
            raise ValueError(f"BlockNormal cuts {self.size} variables into blocks of {block} each: try {fitting}")
        self.num_parameters = self.size * (block + 3) // 2

    def __repr__(self) -> str:
        return f"BlockNormal({tuple(self.event_shape)}, {self.block})"

    # -- the equation ----------------------------------------------------------------------------------------------

    def sufficient_statistics(self, x: Tensor) -> Float[Tensor, "*B P"]:
        """(x, x_i^2, x_i x_j)."""
        x = super().sufficient_statistics(x)
        blocks = x.unflatten(-1, (-1, self.block))
        below, left = self._pairs(x)
        return torch.cat((x, x.square(), (blocks[..., below] * blocks[..., left]).flatten(-2)), -1)

    def log_base_measure(self, x: Tensor) -> Float[Tensor, "*B"]:
        """-d/2 log(2 pi)."""
        return torch.full_like(super().sufficient_statistics(x), -_CONSTANT).sum(-1)

    def log_partition(self, eta: Float[Tensor, "*B P"]) -> Float[Tensor, "*B"]:
        """|L^T eta_1|^2 / 2 + log det L."""
        factor, linear = self._factor(eta), self._blocks(eta[..., : self.size].double())
        pulled = torch.einsum("...ji,...j->...i", factor, linear)
        value = 0.5 * pulled.square().sum((-2, -1)) + factor.diagonal(dim1=-2, dim2=-1).log().sum((-2, -1))
        return value.to(eta.dtype)

    def distribution(self, eta: Float[Tensor, "*B P"]) -> BlockGaussian:
        """Its factors found in double precision."""
        factor, linear = self._factor(eta), self._blocks(eta[..., : self.size].double())
        mean = torch.einsum("...ij,...kj,...k->...i", factor, factor, linear)
        return BlockGaussian(mean.flatten(-2).to(eta.dtype), factor.to(eta.dtype), self.event_shape)

    def mean_statistics(self, eta: Float[Tensor, "*B P"]) -> Float[Tensor, "*B P"]:
        """The means, and of squares and products those and the covariances."""
        member = self.distribution(eta)
        spread = self._packed(member.variance.flatten(eta.ndim - 1), member.covariance)
        return self.sufficient_statistics(member.mean) + torch.cat((torch.zeros_like(member.loc), spread), -1)

    # -- what a network emits --------------------------------------------------------------------------------------

    @property
    def log_scales(self) -> tuple[slice, ...]:
        """After the means."""
        return (slice(self.size, 2 * self.size),)

    @property
    def coupled(self) -> slice:
        """x alone, as of `Normal`."""
        return slice(0, self.size)

    def member(self, theta: Float[Tensor, "*B P"]) -> BlockGaussian:
        """From the mean and the rows of L."""
        mean, log_sigma, slopes = theta.split((self.size, self.size, self.num_parameters - 2 * self.size), -1)
        sigma = self._blocks(log_sigma.clamp(-_MAX_LOG_SIGMA, _MAX_LOG_SIGMA).exp())
        slopes = (slopes / self.block**0.5).clamp(-_MAX_SLOPE, _MAX_SLOPE)
        rows = self._triangle(torch.ones_like(sigma), slopes)
        factor = rows * (sigma / rows.square().sum(-1).sqrt())[..., None]
        return BlockGaussian(mean, factor, self.event_shape)

    def constrain(self, theta: Float[Tensor, "*B P"]) -> Float[Tensor, "*B P"]:
        """(mean, log sigma, u) -> (P mean, -P_ii / 2, -P_ij)."""
        member = self.member(theta)
        inverse = member.inverse_tril
        precision = inverse.mT @ inverse
        linear = torch.einsum("...ij,...j->...i", precision, self._blocks(member.loc)).flatten(-2)
        squares = precision.diagonal(dim1=-2, dim2=-1).flatten(-2)
        return torch.cat((linear, self._packed(-0.5 * squares, -precision)), -1)

    def unconstrain(self, eta: Float[Tensor, "*B P"]) -> Float[Tensor, "*B P"]:
        """(mean, log sigma, u)."""
        member = self.distribution(eta)
        return self._emitted(member.loc, member.scale_tril)

    def fitted(self, mean: Float[Tensor, "*B P"]) -> Float[Tensor, "*B P"]:
        """(mean, log sigma, u) of these moments, with at least 0.001 as the deviation in every direction."""
        loc, squares, products = mean.split((self.size, self.size, self.num_parameters - 2 * self.size), -1)
        lower = self._triangle(self._blocks(squares), products)
        blocks = self._blocks(loc)
        covariance = lower + lower.tril(-1).mT - blocks[..., None] * blocks[..., None, :]
        variances, directions = torch.linalg.eigh(covariance)
        roots = directions * variances.clamp_min(_EDGE**2).sqrt()[..., None, :]
        return self._emitted(loc, torch.linalg.cholesky(roots @ roots.mT))

    def pulled_back(self, theta: Float[Tensor, "*B P"], gradient: Float[Tensor, "*B P"]) -> Float[Tensor, "*B P"]:
        """By the derivative of `constrain`."""
        with torch.enable_grad():
            leaf = theta.detach().requires_grad_()
            (pulled,) = torch.autograd.grad(self.constrain(leaf), leaf, gradient)
        return pulled

    # -- packing ---------------------------------------------------------------------------------------------------

    def _blocks(self, flat: Float[Tensor, "*B d"]) -> Float[Tensor, "*B m k"]:
        return flat.unflatten(-1, (-1, self.block))

    def _pairs(self, like: Tensor) -> Tensor:
        """The rows and the columns below the diagonal of a block."""
        return torch.tril_indices(self.block, self.block, -1, device=like.device)

    def _triangle(self, diagonal: Float[Tensor, "*B m k"], below: Float[Tensor, "*B n"]) -> Float[Tensor, "*B m k k"]:
        """Lower triangles with this diagonal and, row by row, these entries below it."""
        row, column = self._pairs(below)
        blocks = below.unflatten(-1, (diagonal.shape[-2], -1)) if len(row) else below.new_zeros(*diagonal.shape[:-1], 0)
        empty = diagonal.new_zeros(*diagonal.shape, self.block)
        flat = empty.flatten(-2).index_copy(-1, row * self.block + column, blocks)
        return flat.unflatten(-1, (self.block, self.block)) + torch.diag_embed(diagonal)

    def _packed(self, squares: Float[Tensor, "*B d"], products: Float[Tensor, "*B m k k"]) -> Float[Tensor, "*B n"]:
        """What goes with x_i^2, and what goes with x_i x_j."""
        row, column = self._pairs(squares)
        return torch.cat((squares, products[..., row, column].flatten(-2)), -1)

    def _emitted(self, mean: Float[Tensor, "*B d"], factor: Float[Tensor, "*B m k k"]) -> Float[Tensor, "*B P"]:
        """Theta of this mean and L."""
        sigma = factor.square().sum(-1).sqrt().flatten(-2)
        slopes = self.block**0.5 * factor / factor.diagonal(dim1=-2, dim2=-1)[..., None]
        return torch.cat((mean, self._packed(sigma.log(), slopes)), -1)

    def _factor(self, eta: Float[Tensor, "*B P"]) -> Float[Tensor, "*B m k k"]:
        """L, in double precision, by U U^T = P with U upper triangular: L = U^-T."""
        _, squares, products = eta.double().split((self.size, self.size, self.num_parameters - 2 * self.size), -1)
        lower = self._triangle(self._blocks(-2 * squares), -products)
        scale = lower.diagonal(dim1=-2, dim2=-1).rsqrt()
        scaled = (lower + lower.tril(-1).mT) * scale[..., None] * scale[..., None, :]
        upper = torch.linalg.cholesky(scaled.flip(-2, -1)).flip(-2, -1)
        identity = torch.eye(self.block, dtype=upper.dtype, device=upper.device).expand_as(upper)
        return scale[..., None] * torch.linalg.solve_triangular(upper.mT, identity, upper=False)
