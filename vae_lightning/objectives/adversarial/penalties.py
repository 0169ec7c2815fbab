"""Penalties of a discriminator: its slope at observations -> what it pays for being steep."""

from __future__ import annotations

import abc
from collections.abc import Callable
from math import inf

import torch
from jaxtyping import Float
from torch import Tensor

from vae_lightning.construction.arguments import check_kinds
from vae_lightning.randomness import Noise

Logits = Callable[[Tensor], Tensor]
"""Observations (B, *X) -> logits (B,), high for what looks real."""


class DiscriminatorPenalty(abc.ABC):
    """What a discriminator pays, one value per observation; a function of its gradient with respect to x.

    Its gradient is a second derivative: a discriminator whose layers couple rows, such as BatchNorm, has slopes of the
    batch, and is better without these layers.
    """

    def __init__(self, weight: float) -> None:
        check_kinds(DiscriminatorPenalty, locals())
        if not 0 < weight < inf:
            raise ValueError(f"{type(self).__name__} needs a positive finite weight, got {weight}")
        self.weight = weight

    @abc.abstractmethod
    def __call__(self, logits: Logits, real: Tensor, fake: Tensor, noise: Noise) -> Float[Tensor, " batch"]:
        """One value per observation, of real and as many generated ones, which carry no gradient."""

    def __repr__(self) -> str:
        return f"{type(self).__name__}(weight={self.weight})"


class R1(DiscriminatorPenalty):
    """weight / 2 |grad f(x)|^2 at the data: with it the training of a GAN converges near its solution.

    Source: Mescheder, Geiger, Nowozin, Which Training Methods for GANs do actually Converge? (2018), Eq. 9.

    Args:
        weight: gamma; 10 in the paper for pictures. It depends on the scale of the data.

    Examples:
        >>> import torch
        >>> from vae_lightning.objectives import R1
        >>> from vae_lightning.randomness import Noise
        >>> x = torch.ones(2, 3)
        >>> R1(weight=2.0)(lambda x: 2 * x.sum(1), x, x, Noise())  # |(2, 2, 2)|^2
        tensor([12., 12.])
    """

    def __init__(self, weight: float = 10.0) -> None:
        check_kinds(R1, locals())
        super().__init__(weight)

    def __call__(self, logits: Logits, real: Tensor, fake: Tensor, noise: Noise) -> Float[Tensor, " batch"]:
        """weight / 2 |grad f(x)|^2."""
        return 0.5 * self.weight * _slopes(logits, real).square().sum(1)


class GradientPenalty(DiscriminatorPenalty):
    """weight (|grad f(x^)| - 1)^2, x^ uniform on the line between an observation and a generated one: that of WGAN-GP.

    Source: Gulrajani et al., Improved Training of Wasserstein GANs (2017), Eq. 3.

    Args:
        weight: lambda.

    Examples:
        >>> import torch
        >>> from vae_lightning.objectives import GradientPenalty
        >>> from vae_lightning.randomness import Noise
        >>> x = torch.ones(2, 1)
        >>> GradientPenalty(weight=10.0)(lambda x: 3 * x.sum(1), x, -x, Noise())  # 10 (3 - 1)^2
        tensor([40., 40.])
    """

    def __init__(self, weight: float = 10.0) -> None:
        check_kinds(GradientPenalty, locals())
        super().__init__(weight)

    def __call__(self, logits: Logits, real: Tensor, fake: Tensor, noise: Noise) -> Float[Tensor, " batch"]:
        """weight (|grad f(x^)| - 1)^2."""
        share = noise.uniform((len(real), *[1] * (real.ndim - 1)), real)
        slopes = _slopes(logits, torch.lerp(fake, real, share))
        # at 0 the norm has no gradient, and torch's is not a number once it is squared through the root
        return self.weight * ((slopes.square().sum(1) + 1e-12).sqrt() - 1).square()


def _slopes(logits: Logits, x: Tensor) -> Float[Tensor, "batch entries"]:
    """The gradient of each row's logit with respect to the row, in single precision, to be differentiated again."""
    with torch.enable_grad(), torch.autocast(x.device.type, enabled=False):
        at = x.detach().float() if x.dtype in (torch.float16, torch.bfloat16) else x.detach()
        try:
            at = at.requires_grad_()
        except RuntimeError as error:
            raise ValueError("a penalty takes slopes of one discriminator: train such models one at a time") from error
        (slopes,) = torch.autograd.grad(logits(at).sum(), at, create_graph=True)
    return slopes.flatten(1)
