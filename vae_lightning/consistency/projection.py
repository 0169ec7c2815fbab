"""A VAE of few codes -> the harmoniums nearest to its joint: Proposition A.1's, and the least-squares one."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float, Float64
from torch import Tensor

from vae_lightning.consistency.exact import codes_of, log_joint
from vae_lightning.consistency.fits import family_of, like_of
from vae_lightning.families import ExponentialFamily
from vae_lightning.harmonium.harmonium import Harmonium
from vae_lightning.latent_variable import LatentVariableModel


@dataclass(frozen=True, eq=False)
class Projection:
    """An unnormalised harmonium log p~(x, z) = -E(x, z) + c near a VAE's log p(x, z).

    `matrix` W, (n + 1, m + 1), acts on (T(x), 1) and (S(z), 1); `harmonium` has its parts as weight and biases, in the
    model's dtype, and c is its last entry. `squared_error` = E_pd (log p(x, z) - log p~(x, z))^2 for each code, nats^2.
    """

    harmonium: Harmonium
    matrix: Float64[Tensor, "visible hidden"]
    squared_error: Float64[Tensor, " codes"]

    @property
    def log_scale(self) -> Float64[Tensor, ""]:
        """c; p~ adds up to exp(log Z + c), nearly one where the VAE is nearly consistent."""
        return self.matrix[-1, -1]


def nearest_harmonium(
    model: LatentVariableModel, x: Float[Tensor, "N *observed"], weights: Float[Tensor, " N"] | None = None
) -> Projection:
    """Project a VAE onto the harmoniums by its encoder: W solves V W = P G (Proposition A.1).

        V: rows (T(x), 1);   G: rows (g(x), log p(x) - B(g(x)) - log h(x));   P: onto V's columns, orthogonal under p_d

    For every code, E_pd (log p(x, z) - log p~(x, z))^2 <= E_pd (log q(z | x) - log p(z | x))^2, which Theorem 2 bounds
    by epsilon and alpha: a tight VAE whose posteriors are bounded away from zero is close to a harmonium.

    Args:
        model: its families let all their statistics be coupled; at most 2^16 codes.
        x: (N, *X), the support of p_d.
        weights: p_d(x), by default all equal.

    Raises:
        ValueError: too many codes, a family with a free variance, or statistics (T(x), 1) that are linearly dependent
            over the data, for then many W do as well.

    Source: Shekhovtsov et al. (2022), Proposition A.1.
    """
    x, weights = _support(x, weights)
    latent, observed = _families(model)
    joint = log_joint(model, x)
    with torch.no_grad():
        g = model.encoder.natural_parameters(x)  # type: ignore[attr-defined]  # _families has checked
        last = joint.logsumexp(0) - latent.log_partition(g).double() - observed.log_base_measure(x).double()
    matrix = _solve(_visible(observed, x, weights), torch.cat((g.double(), last[:, None]), 1), weights)
    return _projection(model, joint, x, weights, matrix)


def least_squares_harmonium(
    model: LatentVariableModel, x: Float[Tensor, "N *observed"], weights: Float[Tensor, " N"] | None = None
) -> Projection:
    """The unnormalised harmonium of least mean squared error of log p(x, z), over p_d and all codes alike.

    On average over the codes it is nearer than `nearest_harmonium`, whose guarantee holds for every code. Arguments and
    errors are the same; codes with linearly dependent statistics are a ValueError too.
    """
    x, weights = _support(x, weights)
    latent, observed = _families(model)
    codes, joint = codes_of(model), log_joint(model, x)
    target = joint.T - observed.log_base_measure(x).double()[:, None] - latent.log_base_measure(codes).double()
    by_code = _solve(_visible(observed, x, weights), target, weights)
    matrix = _solve(_full_rank(_extended(latent, codes), "codes"), by_code.T, torch.ones_like(target[0])).T
    return _projection(model, joint, x, weights, matrix)


def _support(x: Tensor, weights: Tensor | None) -> tuple[Tensor, Tensor]:
    weights = torch.ones(len(x), dtype=torch.float64, device=x.device) if weights is None else weights.double()
    if weights.shape != x.shape[:1] or not (weights.sum() > 0 and (weights >= 0).all()):
        raise ValueError(f"weights are {len(x)} probabilities of x, >= 0 and not all 0; got {tuple(weights.shape)}")
    return x[weights > 0], weights[weights > 0] / weights.sum()


def _families(model: LatentVariableModel) -> tuple[ExponentialFamily, ExponentialFamily]:
    families = family_of(model.encoder, "encoder"), family_of(model.decoder, "decoder")
    for family in families:
        if family.coupled != slice(0, family.num_parameters):
            raise ValueError(
                f"a harmonium cannot couple all statistics of {family}, so there is no projection: fix its variance, "
                f"as in Normal({tuple(family.event_shape)}, scale=1.0)"
            )
    return families


def _extended(family: ExponentialFamily, x: Tensor) -> Tensor:
    statistics = family.sufficient_statistics(x).double()
    return torch.cat((statistics, torch.ones_like(statistics[:, :1])), 1)


def _visible(family: ExponentialFamily, x: Tensor, weights: Tensor) -> Tensor:
    return _full_rank(_extended(family, x), "observations", weights)


def _full_rank(rows: Tensor, what: str, weights: Tensor | None = None) -> Tensor:
    scaled = rows if weights is None else weights.sqrt()[:, None] * rows
    if (rank := int(torch.linalg.matrix_rank(scaled))) < rows.shape[1]:
        raise ValueError(
            f"the projection needs statistics (T, 1) of full column rank over the {what}, {rows.shape[1]}; these "
            f"{len(rows)} have rank {rank}: give more different {what}, or families of minimal statistics"
        )
    return rows


def _solve(rows: Tensor, target: Tensor, weights: Tensor) -> Tensor:
    scale = weights.sqrt()[:, None]
    return torch.linalg.lstsq(scale * rows, scale * target).solution


def _projection(model: LatentVariableModel, joint: Tensor, x: Tensor, weights: Tensor, matrix: Tensor) -> Projection:
    latent, observed = _families(model)
    codes = codes_of(model)
    approximation = _extended(observed, x) @ matrix @ _extended(latent, codes).T
    approximation += observed.log_base_measure(x).double()[:, None] + latent.log_base_measure(codes).double()
    squared_error = weights @ (joint.T - approximation).square()
    harmonium = build_harmonium(observed, latent, matrix[:-1, :-1], matrix[:-1, -1], matrix[-1, :-1], like_of(model))
    return Projection(harmonium, matrix, squared_error)


def build_harmonium(
    visible: ExponentialFamily, hidden: ExponentialFamily, weight: Tensor, a: Tensor, b: Tensor, like: Tensor
) -> Harmonium:
    """The harmonium of this W and these natural parameters a and b, in dtype and on the device of `like`."""
    harmonium = Harmonium(visible, hidden).to(like)
    values = (weight, visible.unconstrain(a), hidden.unconstrain(b))
    for parameter, value in zip((harmonium.weight, harmonium.visible_bias, harmonium.hidden_bias), values, strict=True):
        parameter.data.copy_(value)
    harmonium.check()
    return harmonium
