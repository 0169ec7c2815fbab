"""Encoder or decoder, and what they read -> the affine map of its sufficient statistics nearest to what they emit."""

from __future__ import annotations

import itertools
from typing import Any

import torch
from jaxtyping import Float, Float64
from torch import Tensor, nn

from vae_lightning.affine import dense
from vae_lightning.families import ExponentialFamily
from vae_lightning.latent_variable import LatentVariableModel
from vae_lightning.metrics.functional.affine_fit import AffineFit, fit_moments, pair_moments


def family_of(conditional: Any, role: str) -> ExponentialFamily:
    """The exponential family of an encoder or decoder; TypeError for one that has none."""
    family = getattr(conditional, "family", None)
    if not isinstance(family, ExponentialFamily) or not hasattr(conditional, "natural_parameters"):
        raise TypeError(
            f"consistency is of exponential families: the {role}, a {type(conditional).__name__}, has no .family with "
            "natural_parameters, as a Conditional has"
        )
    return family


@torch.no_grad()
def natural_parameters(conditional: Any, c: Any) -> Float[Tensor, "*B P"]:
    """Eta(c) without gradient, multiplied out, the same for equal distributions."""
    return conditional.family.canonical(dense(conditional.natural_parameters(c)))


def like_of(module: nn.Module) -> Tensor:
    """A number of the dtype and on the device of the module's parameters or buffers; without any, torch's default."""
    return next(itertools.chain(module.parameters(), module.buffers()), torch.zeros(()))


def coupled_statistics(family: ExponentialFamily, x: Any) -> Float64[Tensor, "*B C"]:
    """The statistics that a harmonium may couple."""
    return family.sufficient_statistics(x)[..., family.coupled].double()


def decoder_fit(
    model: LatentVariableModel, z: Float[Tensor, "N *latent"], weights: Float[Tensor, " N"] | None = None
) -> AffineFit:
    """The affine map W T(z) + u nearest to the decoder's natural parameters f(z), weighted least squares in float64.

    In a consistent VAE there is no residual (Theorem 1). Only the statistics enter that both families let be coupled: a
    free variance, for one, must not depend on z, so its fit is a constant.

    Args:
        model: encoder and decoder of exponential families.
        z: (N, *Z), where to compare: all codes, samples of the prior, or codes of the data.
        weights: (N,), by default all equal.

    Raises:
        TypeError: an encoder or decoder of no exponential family.
        ValueError: parameters that are not finite, weights that are negative or all zero.

    Source: Shekhovtsov, Schlesinger, Flach, VAE Approximation Error: ELBO and Exponential Families (2022), Eq. 5.
    """
    family_of(model.decoder, "decoder")
    return fit_conditional(model.decoder, family_of(model.encoder, "encoder"), z, weights)


def encoder_fit(model: LatentVariableModel, x: Any, weights: Float[Tensor, " N"] | None = None) -> AffineFit:
    """The affine map V T(x) + v nearest to the encoder's natural parameters g(x); Eq. 6, where V = W^T.

    As `decoder_fit`, with observations x, (N, *X) or N rows of `Counts`. With as many statistics as observations every
    encoder is affine; `AffineFit.adjusted_r_squared` says so.
    """
    family_of(model.encoder, "encoder")
    return fit_conditional(model.encoder, family_of(model.decoder, "decoder"), x, weights)


def fit_conditional(conditional: Any, context: ExponentialFamily, c: Any, weights: Tensor | None = None) -> AffineFit:
    """The same for a decoder or an encoder alone, whose context c is of this family."""
    moments = pair_moments(coupled_statistics(context, c), natural_parameters(conditional, c), weights)
    return fit_moments(moments, conditional.family.coupled)
