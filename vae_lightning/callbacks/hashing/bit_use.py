"""BitUse: how often each bit is on, and how sure the encoder is of it."""

from __future__ import annotations

import math

import lightning.pytorch as pl
import torch
from jaxtyping import Float
from torch import Tensor
from torch.distributions import constraints
from torchmetrics import Metric

from vae_lightning.batches import Batch
from vae_lightning.callbacks.base import Diagnostic
from vae_lightning.callbacks.reporting import log_figures, logged_step, tensorboard
from vae_lightning.callbacks.requirements import require_latent_variable_model
from vae_lightning.conditional import OfFamily
from vae_lightning.families.enumeration import support
from vae_lightning.latent_variable import Draw


class BitEntropies(Metric):
    """Sums of q(z_j = 1 | x) and of its entropy over documents, float64."""

    full_state_update = False
    on: Tensor
    entropy: Tensor
    count: Tensor

    def __init__(self, num_bits: int) -> None:
        super().__init__()
        for name, shape in (("on", (num_bits,)), ("entropy", (num_bits,)), ("count", ())):
            self.add_state(name, torch.zeros(shape, dtype=torch.float64), dist_reduce_fx="sum")

    def update(self, p: Float[Tensor, "batch bits"]) -> None:
        """Add a batch of bit probabilities."""
        p = p.double()
        self.on += p.sum(0)
        self.entropy += _entropy(p).sum(0)
        self.count += len(p)

    def compute(self) -> tuple[Float[Tensor, " bits"], Float[Tensor, " bits"], Float[Tensor, " bits"]]:
        """(use, marginal entropy, conditional entropy) of each bit, the entropies in bits."""
        use = self.on / self.count
        return use, _entropy(use), self.entropy / self.count


def _entropy(p: Tensor) -> Tensor:
    return -(torch.xlogy(p, p) + torch.xlogy(1 - p, 1 - p)) / math.log(2)


class BitUse(Diagnostic):
    """Logs `bit_entropy` and `bit_uncertainty`, in bits, means over the code's bits, and a histogram of the bits' use.

    `bit_entropy` is H(E_x q(z_j | x)): 1 for a bit that is on for half of the documents, 0 for a dead one.
    `bit_uncertainty` is E_x H(q(z_j | x)): 0 where the encoder is sure. Their difference is the bit's information
    about the document. A pass over the evaluation's own draws; it costs nothing beside them. TypeError at setup for
    codes that are no bits.
    """

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Say before the first epoch that codes are no bits."""
        encoder = require_latent_variable_model(self, pl_module).encoder
        if not isinstance(encoder, OfFamily) or support(encoder.family) is not constraints.boolean:
            raise TypeError(f"BitUse needs codes of bits, and those of {type(pl_module).__name__} are not")

    def begin(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        """Begin new sums."""
        bits = require_latent_variable_model(self, module).prior.event_shape.numel()
        self.entropies = BitEntropies(bits).to(module.device)

    def observe(self, trainer: pl.Trainer, module: pl.LightningModule, draw: Draw, batch: Batch) -> None:
        """Add the posterior's probabilities."""
        self.entropies.update(draw.posterior.mean.flatten(1))

    def report(self, trainer: pl.Trainer, module: pl.LightningModule, split: str) -> None:
        """Log the entropies; draw the histogram."""
        use, marginal, conditional = self.entropies.compute()
        log_figures(module, split, {"bit_entropy": marginal.mean(), "bit_uncertainty": conditional.mean()})
        if writer := tensorboard(trainer):
            writer.add_histogram(f"{split}/bit_use", use, logged_step(trainer))
