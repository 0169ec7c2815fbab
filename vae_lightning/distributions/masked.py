"""Masked: independent variables -> the same, of which those that are NaN in x were not observed."""

from __future__ import annotations

from typing import Any

import torch
import torch.distributions as td
from jaxtyping import Bool
from torch import Size, Tensor

from vae_lightning.distributions.kinds import family_name


class Masked(td.Distribution):
    """The variables of a distribution, batch shape B and event shape E: log p(x) is 0 where x is NaN.

    A variable with an axis of its own, a one-hot vector, is missing if any of its entries is. Samples are complete.
    """

    arg_constraints = {}  # noqa: RUF012  (torch's own convention)

    def __init__(self, variables: td.Distribution) -> None:
        self.variables = variables
        super().__init__(variables.batch_shape, variables.event_shape, validate_args=False)

    @property
    def support(self) -> Any:
        """That of the variables."""
        return self.variables.support

    @property
    def mean(self) -> Tensor:
        """That of the variables."""
        return self.variables.mean

    @property
    def variance(self) -> Tensor:
        """That of the variables."""
        return self.variables.variance

    @property
    def mode(self) -> Tensor:
        """That of the variables."""
        return self.variables.mode

    def sample(self, sample_shape: Size = Size()) -> Tensor:  # type: ignore[override]  # noqa: B008
        """All variables, none missing."""
        return self.variables.sample(sample_shape)

    def log_prob(self, x: Tensor) -> Tensor:
        """Log p of each variable, 0 where it is missing; the rest is bit for bit what the variables say."""
        missing = x.isnan()
        known = self.variables.log_prob(torch.where(missing, 0.0, x))
        return torch.where(_any(missing, len(self.event_shape)), 0.0, known)


def observed_part(p: td.Distribution) -> td.Independent[Any]:
    """p(x) of the entries of x that are not NaN, the others integrated out; TypeError unless p is of independent ones.

    Examples:
        >>> import torch
        >>> import torch.distributions as td
        >>> from vae_lightning.distributions import observed_part
        >>> p = observed_part(td.Independent(td.Bernoulli(logits=torch.zeros(3)), 1))
        >>> p.log_prob(torch.tensor([1.0, torch.nan, 0.0])).exp()  # two fair coins
        tensor(0.2500)
    """
    if not isinstance(p, td.Independent):
        raise TypeError(
            f"missing entries are left out of variables that are independent, which {family_name(p)} is not"
        )
    if isinstance(p.base_dist, Masked):
        return p
    return td.Independent(Masked(p.base_dist), p.reinterpreted_batch_ndims, validate_args=False)


def _any(missing: Bool[Tensor, "*S"], axes: int) -> Bool[Tensor, "*R"]:
    return missing.flatten(-axes).any(-1) if axes else missing
