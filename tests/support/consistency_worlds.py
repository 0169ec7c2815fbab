"""What the tests of consistency share: small worlds in float64, and tables as networks."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from vae_lightning.conditional import Conditional
from vae_lightning.consistency import best_factorised, log_joint
from vae_lightning.consistency.exact import all_states
from vae_lightning.families import Bernoulli, ExponentialFamily
from vae_lightning.latent_variable import LatentVariableModel
from vae_lightning.priors import FactorisedPrior


class Table(nn.Module):
    """A row of outputs for each value of some bits, the first slowest."""

    def __init__(self, rows: Tensor) -> None:
        super().__init__()
        self.rows = nn.Parameter(rows.double())

    def forward(self, bits: Tensor) -> Tensor:
        places = 2 ** torch.arange(bits.shape[-1]).flip(0)
        return self.rows[(bits.long() * places).sum(-1)]


def table(family: ExponentialFamily, rows: Tensor, bits: int) -> Conditional:
    """p(. | bits) of this family, any parameters for any bits."""
    return Conditional(family, (bits,), lambda context_shape, num_outputs: Table(rows))


def bits(n: int) -> Tensor:
    """All values of n bits, (2^n, n)."""
    return all_states(Bernoulli(n), torch.zeros((), dtype=torch.float64))


def curved_world(t: float) -> LatentVariableModel:
    """Two bits, uniform a priori, and three that depend on them, bent by t; with the best factorised encoder."""
    z, base = bits(2), torch.tensor([-0.4, 0.2, 0.1], dtype=torch.float64)
    linear = torch.tensor([[0.8, -0.5], [0.3, 0.9], [-0.6, 0.4]], dtype=torch.float64)
    bend = torch.tensor([1.0, -1.2, 0.7], dtype=torch.float64)
    logits = base + z @ linear.T + t * z.prod(1, keepdim=True) * bend
    return with_best_encoder(table(Bernoulli(3), logits, 2), 3)


def with_best_encoder(decoder: Conditional, num_observed: int) -> LatentVariableModel:
    """A model of two uniform bits with this decoder of bits."""
    start = table(Bernoulli(2), torch.zeros(2**num_observed, 2), num_observed)
    model = LatentVariableModel(start, decoder, FactorisedPrior(Bernoulli(2))).double()
    model.encoder.network.rows.data = best_factorised(log_joint(model, bits(num_observed)))
    return model
