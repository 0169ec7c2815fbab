"""Natural form: q -> eta and A(eta) for each row, in float64."""

from __future__ import annotations

import functools
import math

import torch
import torch.distributions as td
import torch.nn.functional as F
from jaxtyping import Float, Float64
from torch import Tensor

from vae_lightning.distributions.block_gaussian import BlockGaussian
from vae_lightning.distributions.kinds import factors

_ROWS = 1024  # of float64 copies at once


def natural_form(q: td.Distribution) -> tuple[Float64[Tensor, "N P"], Float64[Tensor, " N"]] | None:
    """(eta, A) with log q(z | x_n) = <eta_n, T(z)> - A_n, for Gaussians or bits; None for another family.

    Gaussian: eta = (mean / sigma^2, -1 / (2 sigma^2)), T(z) = (z, z^2), with the base measure within A; in blocks of
    precision P: eta = (P mean, -P_ii / 2, -P_ij), T(z) = (z, z_i^2, z_i z_j), i > j. Bits: eta the logits, T(z) = z.
    In float64, where sharp posteriors lose no digits that matter. Batch shape (N,).
    """
    variables = q if isinstance(q, BlockGaussian) else factors(q)
    return None if variables is None or len(q.batch_shape) != 1 else _natural_form(variables)


def statistics(z: Float[Tensor, "*rows d"], num_parameters: int) -> Float64[Tensor, "*rows P"]:
    """T(z) of flat z for P parameters, in float64: z where P = d, (z, z^2) where P = 2 d.

    Where P = d (k + 3) / 2 it is (z, z_i^2, z_i z_j) with i > j in one block of k, row by row and block by block.
    """
    z, size = z.double(), z.shape[-1]
    if num_parameters == size:
        return z
    block = 2 * num_parameters // size - 3
    if block == 1:
        return torch.cat((z, z.square()), -1)
    row, column = torch.tril_indices(block, block, -1, device=z.device)
    blocks = z.unflatten(-1, (-1, block))
    return torch.cat((z, z.square(), (blocks[..., row] * blocks[..., column]).flatten(-2)), -1)


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
def _(variables: BlockGaussian) -> tuple[Tensor, Tensor]:
    mean, factor = variables.loc.double(), variables.scale_tril.double()
    exact = BlockGaussian(mean, factor)
    noise = torch.einsum("nbij,nbj->nbi", exact.inverse_tril, mean.unflatten(1, factor.shape[1:3]))
    linear = torch.einsum("nbji,nbj->nbi", exact.inverse_tril, noise)
    precision = exact.inverse_tril.mT @ exact.inverse_tril
    block = factor.shape[-1]
    row, column = torch.tril_indices(block, block, -1, device=factor.device)
    squares, products = -0.5 * precision.diagonal(dim1=-2, dim2=-1), -precision[..., row, column]
    constant = 0.5 * math.log(2 * math.pi) * mean.shape[1]
    log_normaliser = 0.5 * noise.square().sum((1, 2)) + exact.log_determinant + constant
    return torch.cat((linear.flatten(1), squares.flatten(1), products.flatten(1)), 1), log_normaliser


@_natural_form.register
def _(variables: td.Bernoulli) -> tuple[Tensor, Tensor]:
    logits = variables.logits.double().flatten(1)
    return logits, F.softplus(logits).sum(-1)
