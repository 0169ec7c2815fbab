"""PartlyObserved: a family of independent variables -> the same, of rows in which some are missing (NaN)."""

from __future__ import annotations

from typing import Any

import torch
import torch.distributions as td
from jaxtyping import Float
from torch import Size, Tensor

from vae_lightning.construction.arguments import check_kinds
from vae_lightning.distributions import observed_part
from vae_lightning.families.base import ExponentialFamily


class PartlyObserved(ExponentialFamily):
    """Observations of a family in which entries may be missing, as NaN: log p(x | eta) sums over those that are there.

        log p(x_observed | z) = sum over observed d of log p(x_d | z)

    With it a VAE's bound is one on log p(x_observed), right where entries are missing at random: whether one is missing
    depends on observed ones at most. An encoder sees 0 for what is missing, the mean of standardised data, and with
    `mask` also which entries are there. Of complete rows everything is bit for bit what the family itself says.
    Data with missing entries come from `data.Arrays(..., missing=True)`. T(x), A and h are those of complete x.

    Args:
        family: of independent variables: Normal, Bernoulli, Poisson, Categorical or a Product of these.
        mask: whether an encoder also sees 1 for each entry that is there and 0 for each that is missing, behind x along
            its first axis.

    TypeError for a family whose variables depend on each other.
    Source: Mattei and Frellsen, MIWAE: Deep Generative Modelling and Imputation of Incomplete Data Sets (2019), Eq. 4.

    Examples:
        >>> import torch
        >>> from vae_lightning.families import Normal, PartlyObserved
        >>> family = PartlyObserved(Normal(3, scale=1.0))
        >>> p = family.distribution(torch.zeros(3))
        >>> round(p.log_prob(torch.tensor([0.0, torch.nan, 0.0])).item(), 4)  # -2/2 log 2 pi
        -1.8379
        >>> family.shown(torch.tensor([1.0, torch.nan, 2.0]))
        tensor([1., 0., 2.])
    """

    takes_missing = True
    shows_itself = False

    def __init__(self, family: ExponentialFamily, mask: bool = False) -> None:
        check_kinds(PartlyObserved, locals())
        self.family, self.mask = family, mask
        self.event_shape, self.num_parameters = family.event_shape, family.num_parameters
        observed_part(family.distribution(family.constrain(torch.zeros(family.num_parameters))))

    @property
    def shown_shape(self) -> Size:
        """That of the family; with the mask, longer along the first axis."""
        first, *others = self.family.shown_shape
        return Size([first + self.event_shape[0], *others]) if self.mask else self.family.shown_shape

    def shown(self, x: Tensor) -> Float[Tensor, "..."]:
        """What the family shows, with 0 for what is missing, and the mask if it is wanted."""
        seen = self.family.shown(x)
        seen = torch.where(seen.isnan(), 0.0, seen)
        return torch.cat((seen, (~x.isnan()).to(seen)), -len(self.event_shape)) if self.mask else seen

    @property
    def log_scales(self) -> tuple[slice, ...]:
        """Those of the family."""
        return self.family.log_scales

    def sufficient_statistics(self, x: Tensor) -> Float[Tensor, "*B P"]:
        """T(x); NaN for what is missing."""
        return self.family.sufficient_statistics(x)

    def log_base_measure(self, x: Tensor) -> Float[Tensor, "*B"]:
        """Log h(x)."""
        return self.family.log_base_measure(x)

    def log_partition(self, eta: Float[Tensor, "*B P"]) -> Float[Tensor, "*B"]:
        """A(eta), of complete x."""
        return self.family.log_partition(eta)

    def mean_statistics(self, eta: Float[Tensor, "*B P"]) -> Float[Tensor, "*B P"]:
        """E[T(x)]."""
        return self.family.mean_statistics(eta)

    def fitted(self, mean: Float[Tensor, "*B P"]) -> Float[Tensor, "*B P"]:
        """That of the family."""
        return self.family.fitted(mean)

    def constrain(self, theta: Float[Tensor, "*B P"]) -> Float[Tensor, "*B P"]:
        """That of the family."""
        return self.family.constrain(theta)

    def unconstrain(self, eta: Float[Tensor, "*B P"]) -> Float[Tensor, "*B P"]:
        """That of the family."""
        return self.family.unconstrain(eta)

    def canonical(self, eta: Float[Tensor, "*B P"]) -> Float[Tensor, "*B P"]:
        """That of the family."""
        return self.family.canonical(eta)

    def pulled_back(self, theta: Float[Tensor, "*B P"], gradient: Float[Tensor, "*B P"]) -> Float[Tensor, "*B P"]:
        """That of the family."""
        return self.family.pulled_back(theta, gradient)

    def distribution(self, eta: Float[Tensor, "*B P"]) -> td.Independent[Any]:
        """Samples are complete; log_prob leaves out what is NaN."""
        return observed_part(self.family.distribution(eta))

    def __repr__(self) -> str:
        return f"PartlyObserved({self.family!r}{', mask=True' if self.mask else ''})"
