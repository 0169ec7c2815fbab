"""TemperedChains: inverse temperatures from independent sides to the model -> chains that are helped over barriers."""

from __future__ import annotations

import abc
import math
from collections.abc import Sequence
from itertools import pairwise

import torch
from jaxtyping import Float
from torch import Tensor

from vae_lightning.harmonium.chains import PersistentChains
from vae_lightning.harmonium.harmonium import Harmonium
from vae_lightning.harmonium.tempering import Tempering


class TemperedChains(PersistentChains, abc.ABC):
    """Persistent chains that come to far modes of the model through warmer ones, where these are one.

    p_beta(v, h) is that of `Tempering`: coupling beta W, and v at beta = 0 as the training data have it with W = 0 (of
    a training without a data module, as the new model has it). Of every pair of families; a document keeps its length
    at every temperature.

    Args:
        steps: moves of every chain for a gradient, at least 1.
        chains: over all processes, at least one for each.
        betas: how many inverse temperatures, evenly spaced from 0 to 1; or these themselves, ascending to 1.
    """

    betas: Tensor
    independent: Tensor

    def __init__(self, steps: int, chains: int, betas: int | Sequence[float]) -> None:
        super().__init__(steps, chains)
        self.ladder = ladder(type(self).__name__, betas)  # to go through it without waiting for the device
        self.register_buffer("betas", torch.tensor(self.ladder), persistent=False)

    def attach(self, model: Harmonium) -> None:
        """A row for each chain; where the path begins."""
        super().attach(model)
        self.register_buffer("independent", model.visible_bias.detach().clone())

    def start(self, model: Harmonium, totals: Float[Tensor, " n"] | None) -> None:
        """Also let the path begin at the visible bias that the training begins with."""
        super().start(model, totals)
        self.independent.copy_(model.visible_bias.detach())

    def path(self, model: Harmonium) -> Tempering:
        """From independent sides to the model."""
        return Tempering.of(model, self.independent)


def ladder(name: str, betas: int | Sequence[float]) -> list[float]:
    """The inverse temperatures, ascending to 1; ValueError for others."""
    if isinstance(betas, int):
        if betas < 2:
            raise ValueError(f"{name} needs at least 2 temperatures, the model's own and one above; got betas={betas}")
        return [k / (betas - 1) for k in range(betas)]
    found = [float(beta) for beta in betas]
    ascends = len(found) >= 2 and found[0] >= 0 and all(low < high for low, high in pairwise(found))
    if not ascends or not math.isclose(found[-1], 1.0):
        raise ValueError(f"{name} needs betas that ascend from 0 or more to 1, such as [0, 0.5, 0.8, 1]; got {found}")
    return found
