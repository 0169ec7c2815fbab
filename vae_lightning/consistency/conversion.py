"""Harmonium -> the tight VAE that it is, and back from a VAE that is consistent (Theorem 1, Corollary 2)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Size, Tensor, nn
from torch.distributions import Distribution

from vae_lightning.consistency.exact import all_states
from vae_lightning.consistency.fits import coupled_statistics, family_of, fit_conditional, like_of, natural_parameters
from vae_lightning.consistency.projection import build_harmonium
from vae_lightning.consistency.sides import HarmoniumPrior, HiddenGiven, VisibleGiven
from vae_lightning.distributions import PAIRED_BITS
from vae_lightning.families import ExponentialFamily
from vae_lightning.families.enumeration import states
from vae_lightning.harmonium.harmonium import Harmonium
from vae_lightning.latent_variable import ConditionalLike, LatentVariableModel
from vae_lightning.randomness import seeded

_PROBES = 1024


def tight_vae(harmonium: Harmonium) -> LatentVariableModel:
    """The VAE whose joint is the harmonium's and whose ELBO is log p(x), sharing the harmonium's parameters.

        decoder  a + W S(z),      encoder  b + W^T T(x),      prior  p(z) = h(z) exp(<b, S(z)> + A(a + W S(z))) / Z

    The prior is part of it: with another one the encoder is no longer the posterior, however linear the decoder.
    Evaluating it takes log Z, of two Normals or a side of at most 20 bits; documents need their length, by
    `harmonium.given(total)`.
    Source: Shekhovtsov et al. (2022), Theorem 1.
    """
    return LatentVariableModel(HiddenGiven(harmonium), VisibleGiven(harmonium), HarmoniumPrior(harmonium))


def harmonium_with(
    decoder: ConditionalLike, latent: ExponentialFamily, hidden_bias: Tensor | None = None, tolerance: float = 1e-4
) -> Harmonium:
    """The harmonium with an affine decoder f(z) = W S(z) + u, and the hidden bias v one likes: Corollary 2's setting.

    `tight_vae` of it has this decoder and zero approximation error, since its prior follows the decoder. Under a prior
    that is fixed instead, Corollary 2 fails: the ELBO then pulls even affine decoders away from the likelihood's
    optimum, towards those whose A(f(z)) is affine in S(z) too.

    Args:
        decoder: z -> p(x | z), of an exponential family.
        latent: the family of z.
        hidden_bias: v, (m,), natural parameters; by default those of theta = 0, zero but for a free variance, 1.
        tolerance: the root mean square residual, relative to f's size, up to which f counts as affine.

    Raises:
        ValueError: a decoder that is not affine; families that make no harmonium.
    """
    observed = family_of(decoder, "decoder")
    like = like_of(decoder) if isinstance(decoder, nn.Module) else torch.zeros(())
    with seeded("harmonium_with"):
        z = _probes(latent, latent.distribution(latent.constrain(like.new_zeros(latent.num_parameters))), like)
    weight, u = _affine(decoder, latent, z, tolerance)
    v = latent.constrain(u.new_zeros(latent.num_parameters)) if hidden_bias is None else hidden_bias.double()
    return build_harmonium(observed, latent, weight, u, v, z)


def harmonium_of(model: LatentVariableModel, tolerance: float = 1e-4) -> Harmonium:
    """The harmonium that a consistent VAE is, with p(x, z), q(z | x) = p(z | x) and p(x | z) the same.

    Consistent means: the decoder is W S(z) + u, the encoder W^T T(x) + v with the same W, and the prior, which
    Theorem 1 leaves free, is p(z) ~ h(z) exp(<S(z), v> + A(f(z))). They are compared at every code and observation, up
    to 2^12, else at 1,024 samples of the model. A linear Gaussian VAE, the paper's first example (Eq. 10), is
    consistent where its posterior's precision is diagonal, and its encoder's.

    Args:
        model: encoder and decoder of exponential families.
        tolerance: root mean square deviation that counts as none, relative to the size of natural parameters; of the
            prior in nats.

    Raises:
        ValueError: a VAE that is not consistent, saying in what and by how much; families that make no harmonium.
        TypeError: an encoder or decoder of no exponential family.

    Source: Shekhovtsov et al. (2022), Theorem 1; the prior's condition is implicit there, in its free p(z).
    """
    latent, observed = family_of(model.encoder, "encoder"), family_of(model.decoder, "decoder")
    with seeded("harmonium_of"), torch.no_grad():
        z = _probes(latent, model.prior(), like_of(model))
        x = _probes(observed, model.decoder(z), z)
        weight, u = _affine(model.decoder, latent, z, tolerance)
        field = coupled_statistics(observed, x) @ weight
        field = F.pad(field, (0, latent.num_parameters - field.shape[-1]))  # a free variance is not coupled
        v = natural_parameters(model.encoder, x).double() - latent.canonical(field)
        deviation = _rms(v - v.mean(0)) / (1 + _rms(field))
        _require(deviation <= tolerance, "its encoder is not W^T T(x) + v with the decoder's W", deviation)
        v = v.mean(0)
        partition = observed.log_partition(natural_parameters(model.decoder, z))
        natural = latent.log_base_measure(z) + latent.sufficient_statistics(z) @ v.to(z)
        excess = (model.prior().log_prob(z) - natural - partition).double()
        deviation = _rms(excess - excess.mean())
        _require(deviation <= tolerance, "its prior is not h(z) exp(<S(z), v> + A(f(z))) / Z, in nats", deviation)
    return build_harmonium(observed, latent, weight, u, v, z)


def _probes(family: ExponentialFamily, distribution: Distribution, like: Tensor) -> Tensor:
    """Every value of the family if they are few, else samples of the distribution; (N, *E)."""
    found = states(family)
    if found is not None and found.bits <= PAIRED_BITS:
        return all_states(family, like)
    return distribution.sample(Size() if distribution.batch_shape else Size([_PROBES]))


def _affine(decoder: ConditionalLike, latent: ExponentialFamily, z: Tensor, tolerance: float) -> tuple[Tensor, Tensor]:
    """W over the coupled statistics, and u; ValueError for a decoder that is not affine."""
    fit = fit_conditional(decoder, latent, z)
    deviation = fit.residual.mean().sqrt() / (1 + (fit.mean.square() + fit.total).mean().sqrt())
    _require(deviation <= tolerance, "its decoder's natural parameters are not W S(z) + u", deviation)
    return fit.weight[family_of(decoder, "decoder").coupled], fit.bias


def _rms(values: Tensor) -> Tensor:
    return values.square().mean().sqrt()


def _require(holds: Tensor, what: str, deviation: Tensor) -> None:
    if not holds:
        raise ValueError(
            f"the VAE is not consistent: {what}; root mean square deviation {float(deviation):.3g}. nearest_harmonium "
            "finds the harmonium closest to it"
        )
