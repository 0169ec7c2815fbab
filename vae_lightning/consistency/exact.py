"""A VAE of few codes and observations -> its joint, both posteriors, and its tightness, by enumeration."""

from __future__ import annotations

import itertools

import torch
from jaxtyping import Float, Float64
from torch import Tensor

from vae_lightning.consistency.fits import family_of, like_of
from vae_lightning.distributions import HELD_BITS
from vae_lightning.families import ExponentialFamily
from vae_lightning.families.enumeration import states
from vae_lightning.latent_variable import LatentVariableModel
from vae_lightning.metrics import functional
from vae_lightning.metrics.functional.tightness import Tightness

_MAX_ELEMENTS = 2**22


def all_states(family: ExponentialFamily, like: Tensor, max_bits: int = HELD_BITS) -> Float[Tensor, "states *event"]:
    """Every value of the family, the first variable slowest; ValueError for infinitely or too many."""
    found = states(family)
    if found is None or found.bits > max_bits:
        size = "they cannot be listed" if found is None else f"here 2^{found.bits:.0f}"
        raise ValueError(
            f"exact figures sum over all values of {family}, at most 2^{max_bits}; {size}: use the Consistency "
            "callback, which estimates the mismatch from samples"
        )
    return found.every(like)


def codes_of(model: LatentVariableModel) -> Float[Tensor, "codes *latent"]:
    """Every code of the model; ValueError for more than 2^16."""
    return all_states(family_of(model.encoder, "encoder"), like_of(model))


@torch.no_grad()
def log_joint(model: LatentVariableModel, x: Float[Tensor, "N *observed"]) -> Float64[Tensor, "codes N"]:
    """Log p(x, z) for every code z and each x, in nats; ValueError for more than 2^16 codes."""
    codes = codes_of(model)
    at_once = max(1, _MAX_ELEMENTS // max(1, x.numel()))
    likelihood = [model.decoder(part[:, None]).log_prob(x).double() for part in codes.split(at_once)]
    return torch.cat(likelihood) + model.prior().log_prob(codes).double()[:, None]


@torch.no_grad()
def log_posteriors(
    model: LatentVariableModel, x: Float[Tensor, "N *observed"]
) -> tuple[Float64[Tensor, "codes N"], Float64[Tensor, "codes N"]]:
    """Log q(z | x) of the encoder and log p(z | x) of decoder and prior, for every code z and each x, in nats."""
    codes = codes_of(model)
    log_q = model.encoder(x).log_prob(codes[:, None].expand(-1, len(x), *codes.shape[1:]))
    return log_q.double(), log_joint(model, x).log_softmax(0)


def tightness(
    model: LatentVariableModel, x: Float[Tensor, "N *observed"], weights: Float[Tensor, " N"] | None = None
) -> Tightness:
    """Epsilon, alpha and E_pd (log q - log p)^2 of a model of at most 2^16 codes, exactly, over the data.

    Args:
        model: its encoder's family is of finitely many values.
        x: (N, *X), the support of p_d: all observations of a small world, or the rows of a data set.
        weights: p_d(x), by default all equal.

    Raises:
        ValueError: too many codes, weights that are negative or all zero.

    Source: Shekhovtsov et al. (2022), Definition 1 and Theorem 2.
    """
    return functional.tightness(*log_posteriors(model, x), weights)


def best_factorised(joint: Float[Tensor, "codes N"], sweeps: int = 500) -> Float64[Tensor, "N bits"]:
    """Logits of the independent bits q(z | x) of largest ELBO for each x: what no encoder of this family can beat.

    Coordinate ascent from every corner in turn, up to 8 of them, keeping the best, since there may be several optima.
    `joint` is `log_joint` of a model whose codes are all values of m bits. ValueError unless there are 2^m rows.
    """
    bits = len(joint).bit_length() - 1
    if bits < 1 or len(joint) != 2**bits:
        raise ValueError(f"best_factorised needs a row for each code of m bits, 2^m of them, got {len(joint)}")
    codes = torch.cartesian_prod(*[torch.arange(2.0, dtype=torch.float64, device=joint.device)] * bits).view(-1, bits)
    joint = joint.double()
    best = joint.new_zeros(joint.shape[1], bits)
    value = torch.full_like(joint[0], -torch.inf)
    for corner in itertools.islice(itertools.product((-3.0, 3.0), repeat=bits), 8):
        logits = joint.new_tensor(corner).repeat(joint.shape[1], 1)
        for _ in range(sweeps):
            change = _ascend(logits, joint, codes)
            if change < 1e-14:
                break
        log_q = _log_prob(logits, codes).sum(-1)
        reached = (log_q.exp() * (joint - log_q)).sum(0)
        better = reached > value
        best[better], value = logits[better], torch.maximum(value, reached)
    return best


def _log_prob(logits: Tensor, codes: Tensor) -> Tensor:
    signs = (2 * codes - 1)[:, None]
    return torch.nn.functional.logsigmoid(signs * logits)


def _ascend(logits: Tensor, joint: Tensor, codes: Tensor) -> Tensor:
    """One sweep over the bits, in place; the largest change."""
    before = logits.clone()
    for bit in range(codes.shape[1]):
        each = _log_prob(logits, codes)
        others = (each.sum(-1) - each[..., bit]).exp()
        logits[:, bit] = ((2 * codes[:, bit, None] - 1) * others * joint).sum(0)
    return (logits - before).abs().max()
