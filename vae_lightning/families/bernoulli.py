"""Bernoulli: logits -> independent bits in {0, 1}."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

import torch
import torch.distributions as td
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from vae_lightning.construction.arguments import check_kinds
from vae_lightning.families.base import ExponentialFamily, as_event_shape

_EDGE = 1e-3


class Bernoulli(ExponentialFamily):
    """Independent bits: T(x) = x, A(eta) = sum softplus(eta), h = 1; eta are the logits.

    `Bernoulli(8)` is a code of 8 bits, `Bernoulli((1, 28, 28))` a binary image.

    Args:
        event_shape: of one observation; the command takes the data's where a model's `observed` or `visible` has none.
        intensities: take data between 0 and 1, too, as papers do with gray pixels. log p(x) is then a cross-entropy and
            no log-likelihood: p does not integrate to 1, and figures made of it are not to be held against others.

    Examples:
        >>> import torch
        >>> from vae_lightning.families import Bernoulli
        >>> family = Bernoulli(3)
        >>> p = family.distribution(torch.zeros(2, 3))  # eta are logits: two rows of fair coins
        >>> p.batch_shape, p.event_shape
        (torch.Size([2]), torch.Size([3]))
        >>> round(p.log_prob(torch.ones(3))[0].item(), 4)  # 3 log 1/2
        -2.0794
    """

    independent_bits = True

    def __init__(self, event_shape: int | Sequence[int] | None = None, intensities: bool = False) -> None:
        check_kinds(Bernoulli, locals())
        self.event_shape = as_event_shape(event_shape, "Bernoulli")
        self.num_parameters = prod(self.event_shape)
        self.intensities = intensities

    def log_partition(self, eta: Float[Tensor, "*B P"]) -> Float[Tensor, "*B"]:
        """A(eta) = sum softplus(eta)."""
        return F.softplus(eta).sum(-1)

    def mean_statistics(self, eta: Float[Tensor, "*B P"]) -> Float[Tensor, "*B P"]:
        """sigmoid(eta)."""
        return eta.sigmoid()

    @torch.no_grad()
    def sample(self, eta: Float[Tensor, "*B P"]) -> Float[Tensor, "..."]:
        """Bits."""
        return self.mean_and_sample(eta)[1]

    @torch.no_grad()
    def mean_and_sample(self, eta: Float[Tensor, "*B P"]) -> tuple[Float[Tensor, "*B P"], Float[Tensor, "..."]]:
        """Comparing uniform noise with the mean takes a fifth of torch.bernoulli's time."""
        mean = eta.sigmoid()
        return mean, torch.rand_like(mean).lt_(mean).unflatten(-1, self.event_shape)

    def fitted(self, mean: Float[Tensor, "*B P"]) -> Float[Tensor, "*B P"]:
        """logit(mean), the mean kept within 0.001 and 0.999."""
        return mean.clamp(_EDGE, 1 - _EDGE).logit()

    def distribution(self, eta: Float[Tensor, "*B P"]) -> td.Distribution:
        """Independent Bernoulli variables with logits eta."""
        logits = eta.unflatten(-1, self.event_shape)
        return td.Independent(td.Bernoulli(logits=logits, validate_args=False), len(self.event_shape), False)
