"""FactorisedPrior: one member of a family, fixed or learned."""

from __future__ import annotations

import torch
from torch import nn
from torch.distributions import Distribution

from vae_lightning.construction.arguments import check_kinds
from vae_lightning.families import ExponentialFamily
from vae_lightning.priors.base import Prior


class FactorisedPrior(Prior):
    """p(z) = the family's member at theta = 0, before `constrain`: uniform bits or classes, or a standard normal.

    `learned=True` makes theta a parameter that is trained with the model.

    Examples:
        >>> import torch
        >>> from vae_lightning.families import Bernoulli, Normal
        >>> from vae_lightning.priors import FactorisedPrior
        >>> round(FactorisedPrior(Normal(2))().log_prob(torch.zeros(2)).item(), 4)  # -log 2 pi
        -1.8379
        >>> round(FactorisedPrior(Bernoulli(8))().log_prob(torch.ones(8)).exp().item(), 4)  # 2^-8
        0.0039
    """

    theta: torch.Tensor

    def __init__(self, family: ExponentialFamily, learned: bool = False) -> None:
        check_kinds(FactorisedPrior, locals())
        super().__init__()
        self.family, self.event_shape = family, family.event_shape
        theta = torch.zeros(family.num_parameters)
        if learned:
            self.theta = nn.Parameter(theta)
        else:
            self.register_buffer("theta", theta)

    def forward(self) -> Distribution:
        """p(z)."""
        return self.family.distribution(self.family.constrain(self.theta))
