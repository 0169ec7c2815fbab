"""Natural form: q -> eta and A(eta) for each row, in float64."""

from __future__ import annotations

import functools
import math

import torch
import torch.distributions as td
import torch.nn.functional as F
from jaxtyping import Float64
from torch import Tensor

from vae_lightning.distributions.kinds import factors

_ROWS = 1024  # of float64 copies at once


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
