"""Fakes: p(x | z) at codes of the prior -> the generated observations that a discriminator is shown."""

from __future__ import annotations

import abc

from torch import Tensor
from torch.distributions import Distribution

from vae_lightning.distributions import drawn_in_order, rsample
from vae_lightning.randomness import Noise


class Fakes(abc.ABC):
    """What the discriminator is shown beside the data, with a gradient for the generator."""

    @abc.abstractmethod
    def check(self, likelihood: Distribution) -> None:
        """TypeError, saying the way out, for a p(x | z) through which no gradient comes."""

    @abc.abstractmethod
    def __call__(self, likelihood: Distribution, noise: Noise) -> Tensor:
        """(B, *X) of a p(x | z) of batch shape (B,)."""


class NoisyFakes(Fakes):
    """Samples of p(x | z), noise included: the model's p(x) itself is what becomes the data's.

    Examples:
        >>> import torch
        >>> from vae_lightning.models import GaussianVAE
        >>> from vae_lightning.families import Normal
        >>> from vae_lightning.objectives import NoisyFakes
        >>> from vae_lightning.randomness import Noise
        >>> model = GaussianVAE(2, Normal(3, scale=0.1)).model
        >>> NoisyFakes()(model.decoder(torch.zeros(5, 2)), Noise()).shape
        torch.Size([5, 3])
    """

    def check(self, likelihood: Distribution) -> None:
        """TypeError for a family without reparameterised samples, such as bits."""
        if not likelihood.has_rsample:
            raise TypeError(
                "a discriminator's gradient reaches the generator through its samples, which "
                f"{type(likelihood).__name__} does not reparameterise: use fakes=MeanFakes(), or a Normal"
            )

    def __call__(self, likelihood: Distribution, noise: Noise) -> Tensor:
        """x ~ p(x | z)."""
        return rsample(likelihood, 1, noise)[0]


class MeanFakes(Fakes):
    """E[x | z], without the noise of p(x | z): for pictures, whose data have no such noise that a sample could match.

    The sigma of p(x | z) is then no part of the training: known beforehand, or learnt after it with the encoder.

    Examples:
        >>> import torch
        >>> from vae_lightning.models import GaussianVAE
        >>> from vae_lightning.families import Bernoulli
        >>> from vae_lightning.objectives import MeanFakes
        >>> from vae_lightning.randomness import Noise
        >>> model = GaussianVAE(2, Bernoulli((1, 8, 8))).model  # grey values as the probabilities of bits
        >>> MeanFakes()(model.decoder(torch.zeros(5, 2)), Noise()).shape
        torch.Size([5, 1, 8, 8])
    """

    def check(self, likelihood: Distribution) -> None:
        """TypeError for a distribution that does not know its mean, or has it by draws, which carry no gradient."""
        if drawn_in_order(likelihood):
            raise TypeError(
                "a discriminator's gradient reaches the generator through E[x | z], which here is an average of draws, "
                "pixel by pixel: use another decoder, such as nn.DCGANGenerator"
            )
        try:
            likelihood.mean  # noqa: B018  # asked for the error alone
        except NotImplementedError as error:
            raise TypeError(
                f"the mean of {type(likelihood).__name__} is not known: use fakes=NoisyFakes(), or a Normal"
            ) from error

    def __call__(self, likelihood: Distribution, noise: Noise) -> Tensor:
        """E[x | z]."""
        return likelihood.mean
