"""Categorical: logits -> one-hot vectors."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

import torch
import torch.distributions as td
from jaxtyping import Float
from torch import Size, Tensor

from vae_lightning.construction.arguments import check_kinds
from vae_lightning.families.base import ExponentialFamily, as_event_shape

_EDGE = 1e-3


class Categorical(ExponentialFamily):
    """Independent one-hot vectors over K classes: T(x) = x, A(eta) = sum logsumexp(eta_k), h = 1.

    `Categorical(4)` is one choice among four, event shape (4,); `Categorical(4, (3,))` three of them, event (3, 4).
    In a table, as a part of a `Product`, each variable is one column that holds its number, 0 to K - 1.
    The parametrisation has one logit more than it needs: eta and eta + c are the same distribution.

    Examples:
        >>> import torch
        >>> from vae_lightning.families import Categorical
        >>> family = Categorical(4, 3)  # three choices, each among four, one-hot
        >>> p = family.distribution(torch.zeros(family.num_parameters))
        >>> p.event_shape, round(p.entropy().item(), 4)  # 3 log 4
        (torch.Size([3, 4]), 4.1589)
    """

    def __init__(self, num_classes: int, variables: int | Sequence[int] = ()) -> None:
        check_kinds(Categorical, locals())
        if num_classes < 2:
            raise ValueError(f"Categorical needs at least 2 classes, got {num_classes}")
        self.num_classes = num_classes
        self.variables = Size() if variables in ((), []) else as_event_shape(variables, "Categorical")
        self.event_shape = Size((*self.variables, num_classes))
        self.num_parameters = prod(self.event_shape)

    @property
    def num_columns(self) -> int:
        """One for each variable."""
        return self.variables.numel()

    def of_columns(self, columns: Float[Tensor, "*B C"]) -> Float[Tensor, "..."]:
        """One-hot vectors, (*B, *variables, K), of numbers 0 to K - 1; zeros for a number that is none of these."""
        classes = torch.arange(self.num_classes, dtype=columns.dtype, device=columns.device)
        return (columns[..., None] == classes).to(columns.dtype).reshape(*columns.shape[:-1], *self.event_shape)

    def in_columns(self, x: Float[Tensor, "..."]) -> Float[Tensor, "*B C"]:
        """The numbers of one-hot vectors; of probabilities, the expected numbers."""
        classes = torch.arange(self.num_classes, dtype=x.dtype, device=x.device)
        return (x @ classes).reshape(*x.shape[: x.ndim - len(self.event_shape)], self.num_columns)

    def log_partition(self, eta: Float[Tensor, "*B P"]) -> Float[Tensor, "*B"]:
        """A(eta) = sum over the variables of logsumexp over the classes."""
        return eta.unflatten(-1, (-1, self.num_classes)).logsumexp(-1).sum(-1)

    def mean_statistics(self, eta: Float[Tensor, "*B P"]) -> Float[Tensor, "*B P"]:
        """The softmax of each variable's logits."""
        return eta.unflatten(-1, (-1, self.num_classes)).softmax(-1).flatten(-2)

    def fitted(self, mean: Float[Tensor, "*B P"]) -> Float[Tensor, "*B P"]:
        """log(mean), the mean kept above 0.001."""
        return mean.clamp_min(_EDGE).log()

    def canonical(self, eta: Float[Tensor, "*B P"]) -> Float[Tensor, "*B P"]:
        """The logits of each variable shifted to a mean of zero."""
        logits = eta.unflatten(-1, (-1, self.num_classes))
        return (logits - logits.mean(-1, keepdim=True)).flatten(-2)

    def distribution(self, eta: Float[Tensor, "*B P"]) -> td.Distribution:
        """Independent one-hot variables with logits eta."""
        logits = eta.unflatten(-1, self.event_shape)
        return td.Independent(td.OneHotCategorical(logits=logits, validate_args=False), len(self.variables), False)
