"""Losses of the two players: the discriminator's logits of real and generated observations -> a loss for each."""

from __future__ import annotations

import abc

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from vae_lightning.objectives.adversarial.penalties import DiscriminatorPenalty, GradientPenalty


class AdversarialLoss(abc.ABC):
    """What either player minimises, one value per observation, of logits that are high for what looks real."""

    def penalty(self) -> DiscriminatorPenalty | None:
        """What the discriminator pays where nothing else is said; by default nothing."""
        return None

    @abc.abstractmethod
    def discriminator(self, real: Float[Tensor, " batch"], fake: Float[Tensor, " batch"]) -> Float[Tensor, " batch"]:
        """The discriminator's loss."""

    @abc.abstractmethod
    def generator(self, fake: Float[Tensor, " batch"]) -> Float[Tensor, " batch"]:
        """The generator's loss."""

    def shown(self, logits: Float[Tensor, " batch"]) -> Float[Tensor, " batch"]:
        """What is logged of logits as `real` and `fake`: by default themselves."""
        return logits


class NonSaturating(AdversarialLoss):
    """Discriminator: -log D(x) - log(1 - D(x~)); generator: -log D(x~), whose gradient does not vanish while D is sure.

    D is the sigmoid of the logit; `real` and `fake` are means of these probabilities, 1/2 where nothing is told apart.
    Source: Goodfellow et al., Generative Adversarial Nets (2014), section 3.

    Examples:
        >>> import torch
        >>> from vae_lightning.objectives import NonSaturating
        >>> even = torch.zeros(3)
        >>> NonSaturating().discriminator(even, even)  # 2 log 2
        tensor([1.3863, 1.3863, 1.3863])
    """

    def discriminator(self, real: Float[Tensor, " batch"], fake: Float[Tensor, " batch"]) -> Float[Tensor, " batch"]:
        """-log D(x) - log(1 - D(x~))."""
        return F.softplus(-real) + F.softplus(fake)

    def generator(self, fake: Float[Tensor, " batch"]) -> Float[Tensor, " batch"]:
        """-log D(x~)."""
        return F.softplus(-fake)

    def shown(self, logits: Float[Tensor, " batch"]) -> Float[Tensor, " batch"]:
        """D."""
        return logits.sigmoid()


class Hinge(AdversarialLoss):
    """Discriminator: max(0, 1 - f(x)) + max(0, 1 + f(x~)); generator: -f(x~). Usual with `nn.SpectralNorm`.

    Source: Lim and Ye, Geometric GAN (2017); Miyato et al., Spectral Normalization for GANs (2018), Eqs 16 and 17.

    Examples:
        >>> import torch
        >>> from vae_lightning.objectives import Hinge
        >>> Hinge().discriminator(torch.tensor([2.0, 0.0]), torch.tensor([-2.0, 0.0]))  # sure enough costs nothing
        tensor([0., 2.])
    """

    def discriminator(self, real: Float[Tensor, " batch"], fake: Float[Tensor, " batch"]) -> Float[Tensor, " batch"]:
        """max(0, 1 - f(x)) + max(0, 1 + f(x~))."""
        return F.relu(1 - real) + F.relu(1 + fake)

    def generator(self, fake: Float[Tensor, " batch"]) -> Float[Tensor, " batch"]:
        """-f(x~)."""
        return -fake


class Wasserstein(AdversarialLoss):
    """Discriminator: f(x~) - f(x); generator: -f(x~), for an f that does not grow faster than its argument.

    Of such f it pays `GradientPenalty()` unless `Adversarial` is given another penalty. It wants an f near its best:
    `discriminator_steps=5` in the paper, and Adam with betas (0, 0.9).
    Source: Gulrajani et al., Improved Training of Wasserstein GANs (2017), Eq. 3.

    Examples:
        >>> import torch
        >>> from vae_lightning.objectives import Wasserstein
        >>> Wasserstein().discriminator(torch.tensor([3.0]), torch.tensor([1.0]))  # minus the distance it sees
        tensor([-2.])
    """

    def penalty(self) -> DiscriminatorPenalty:
        """`GradientPenalty()`."""
        return GradientPenalty()

    def discriminator(self, real: Float[Tensor, " batch"], fake: Float[Tensor, " batch"]) -> Float[Tensor, " batch"]:
        """f(x~) - f(x)."""
        return fake - real

    def generator(self, fake: Float[Tensor, " batch"]) -> Float[Tensor, " batch"]:
        """-f(x~)."""
        return -fake
