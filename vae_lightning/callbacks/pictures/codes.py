"""Codes: ways through a latent space, which for Gaussian variables are lines and for bits are flips."""

from __future__ import annotations

import abc

import torch
import torch.distributions as td
from jaxtyping import Float
from torch import Size, Tensor

from vae_lightning.callbacks.base import Diagnostic
from vae_lightning.distributions import as_bits, as_normal, first_level, mean_code
from vae_lightning.latent_variable import Draw, LatentVariableModel

PRIOR_DRAWS = 10_000


class Codes(abc.ABC):
    """Where an observation lies in a latent space, and the ways through it; codes are (*Z)."""

    @abc.abstractmethod
    def center(self, draw: Draw) -> Float[Tensor, "batch *latent"]:
        """The code that stands for each observation."""

    @abc.abstractmethod
    def path(self, start: Tensor, end: Tensor, steps: int) -> Float[Tensor, "L *latent"]:
        """A path of at most `steps` codes from start to end."""

    @abc.abstractmethod
    def sweep(self, code: Tensor, unit: int, prior: td.Distribution, steps: int) -> Float[Tensor, "L *latent"]:
        """The code with one of its flat units moved over what the prior holds likely."""

    sweep_title: str


class GaussianCodes(Codes):
    """Posterior means, straight lines, and -3 to 3 standard deviations of the prior around its mean."""

    sweep_title = "from -3 to 3 prior standard deviations"

    def center(self, draw: Draw) -> Tensor:
        """E_q[z]."""
        return mean_code(draw.posterior)

    def path(self, start: Tensor, end: Tensor, steps: int) -> Tensor:
        """Equal steps."""
        share = torch.linspace(0, 1, steps, dtype=start.dtype, device=start.device)
        return torch.lerp(start, end, share.view(-1, *[1] * start.ndim))

    def sweep(self, code: Tensor, unit: int, prior: td.Distribution, steps: int) -> Tensor:
        """Equal steps."""
        mean, scale = (moment.flatten()[unit] for moment in _moments(prior))
        codes = code.flatten().repeat(steps, 1)
        codes[:, unit] = mean + scale * torch.linspace(-3, 3, steps, dtype=code.dtype, device=code.device)
        return codes.unflatten(1, code.shape)


class BitCodes(Codes):
    """The most probable codes, bits flipped one after the other, and a bit off and on."""

    sweep_title = "off, then on"

    def center(self, draw: Draw) -> Tensor:
        """The mode of q(z | x)."""
        return (draw.posterior.mean > 0.5).to(draw.z)

    def path(self, start: Tensor, end: Tensor, steps: int) -> Tensor:
        """Flip the bits that differ one at a time, in order; several at once where steps - 1 do not suffice."""
        rank = (start != end).flatten().cumsum(0).view_as(start)  # of the bits that differ: 1, 2, ...
        differing = int(rank.max())
        flipped = torch.linspace(0, differing, min(steps, differing + 1)).round()
        return torch.stack([torch.where(rank <= done, end, start) for done in flipped.tolist()])

    def sweep(self, code: Tensor, unit: int, prior: td.Distribution, steps: int) -> Tensor:
        """Off and on."""
        codes = code.flatten().repeat(2, 1)
        codes[:, unit] = torch.tensor([0, 1]).to(code)
        return codes.unflatten(1, code.shape)


def codes_of(callback: Diagnostic, model: LatentVariableModel) -> Codes:
    """The ways through a model's latent space; TypeError unless its codes are Gaussian variables or bits."""
    posterior = first_level(model.encoder.prototype())  # all levels are of one kind
    if as_normal(posterior) is not None:
        return GaussianCodes()
    if as_bits(posterior) is not None:
        return BitCodes()
    raise TypeError(f"{type(callback).__name__} needs codes of Gaussian variables or bits; q(z | x) is {posterior}")


def _moments(prior: td.Distribution) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation; of a mixture, whose deviation torch is not told, by draws."""
    try:
        return prior.mean, prior.stddev
    except NotImplementedError:
        z = prior.sample(Size([PRIOR_DRAWS]))
        return z.mean(0), z.std(0)
