"""Round: what both players of an adversarial game made of a batch -> the loss to minimise, and figures to log."""

from __future__ import annotations

from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor

from vae_lightning.objectives.adversarial.losses import AdversarialLoss


@dataclass(frozen=True)
class Round:
    """What was played with a batch, one value per observation: logits, losses, and what was paid."""

    real: Tensor
    fake: Tensor
    discriminator: Tensor
    generator: Tensor | None
    penalty: Tensor | None

    @property
    def loss(self) -> Float[Tensor, " batch"]:
        """The sum of all that is minimised."""
        return sum((each for each in (self.generator, self.penalty) if each is not None), self.discriminator)

    def figures(self, losses: AdversarialLoss) -> dict[str, Tensor]:
        """What is logged, by name, without gradient."""
        named = {
            "discriminator": self.discriminator,
            "generator": self.generator,
            "real": losses.shown(self.real),
            "fake": losses.shown(self.fake),
            "penalty": self.penalty,
        }
        return {name: value.detach().mean() for name, value in named.items() if value is not None}
