"""Mode collapse: a generator's samples beside the data -> whether they are all alike."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Size, Tensor

from vae_lightning import metrics
from vae_lightning.latent_variable import Draw, LatentVariableModel

LEAST = 0.25  # of the data's total variance


@dataclass(frozen=True)
class Narrowness:
    """What mode collapse is told by: the total variance of E[x | z] over the prior, as a share of the data's."""

    spread: float

    way_out = "try a penalty of the discriminator's slope (R1), a lower rate of the generator, or a larger batch"

    @property
    def severity(self) -> int:
        """2 for a collapse, else 0."""
        return 2 * (self.spread < LEAST)

    @property
    def figures(self) -> dict[str, float]:
        """What is logged."""
        return {"collapsed": float(self.severity == 2), "sample_spread": self.spread}

    def __str__(self) -> str:
        kind = f"mode collapse (below {LEAST:g})" if self.severity else "no mode collapse"
        return f"{kind}: the samples have {self.spread:.3f} of the data's variance"


class SampleWatch:
    """Looks at as many samples as there are data; of two processes each looks at its own."""

    def __init__(self) -> None:
        self.samples, self.data = metrics.ActiveUnits(), metrics.ActiveUnits()

    def begin(self, device: torch.device) -> None:
        """Reset both metrics."""
        for metric in (self.samples, self.data):
            metric.to(device).reset()

    def observe(self, model: LatentVariableModel, draw: Draw) -> None:
        """Add a batch, and means of p(x | z) at as many codes of the prior."""
        assert isinstance(draw.x, Tensor), "an adversary looks at dense observations"
        self.data.update(draw.x)
        self.samples.update(model.decoder(model.prior().sample(Size([len(draw.x)]))).mean)

    def symptoms(self) -> Narrowness:
        """The symptoms of the split so far, over all processes."""
        samples, data = (each.compute()["variances"].sum() for each in (self.samples, self.data))
        return Narrowness(float(samples / data))
