"""The training loop of PyTorch's DCGAN tutorial: two optimizers, three backward passes, with our networks."""

from __future__ import annotations

from collections.abc import Iterable

import torch
import torch.nn.functional as F
from torch import Tensor

import vae_lightning as vl

SIDE = 64


class TutorialLoop:
    """The DCGAN tutorial's training, with its networks."""

    def __init__(self) -> None:
        self.generator = vl.nn.DCGANGenerator((100,), 3 * SIDE * SIDE, image_shape=(3, SIDE, SIDE))
        self.discriminator = vl.nn.DCGANDiscriminator((3, SIDE, SIDE))
        self.optimizers = [optimizer(each.parameters()) for each in (self.discriminator, self.generator)]

    def step(self, x: Tensor) -> None:
        """The discriminator on real and on generated images, then the generator."""
        of_discriminator, of_generator = self.optimizers
        self.discriminator.zero_grad()
        self.backward(x, 1.0)
        fake = self.generator(torch.randn(len(x), 100)).reshape(x.shape)
        self.backward(fake.detach(), 0.0)
        of_discriminator.step()
        self.generator.zero_grad()
        self.backward(fake, 1.0)
        of_generator.step()

    def backward(self, x: Tensor, label: float) -> None:
        logits = self.discriminator(x).flatten()
        F.binary_cross_entropy_with_logits(logits, torch.full_like(logits, label)).backward()


def optimizer(parameters: Iterable[Tensor]) -> torch.optim.Optimizer:
    """The tutorial's."""
    return torch.optim.Adam(parameters, lr=0.0002, betas=(0.5, 0.999))
