"""One side of a harmonium: a family and its x -> what x says to the other side, and its own part of the joint."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from vae_lightning.counts import Counts
from vae_lightning.families import ExponentialFamily


def field(family: ExponentialFamily, x: Tensor | Counts, weight: Tensor) -> Tensor:
    """What x says to the other side: its coupled statistics times W."""
    return x @ weight if isinstance(x, Counts) else family.coupled_statistics(x) @ weight


def shifted(family: ExponentialFamily, eta: Tensor, field: Tensor) -> Tensor:
    """Eta with what comes from the other side added, at the places of the coupled statistics."""
    if field.shape[-1] == family.num_parameters:
        return eta + field
    start, stop, _ = family.coupled.indices(family.num_parameters)
    return eta + F.pad(field, (start, family.num_parameters - stop))


def log_factor(family: ExponentialFamily, x: Tensor | Counts, eta: Tensor) -> Tensor:
    """log h(x) + <eta, T(x)>."""
    linear = x @ eta if isinstance(x, Counts) else family.sufficient_statistics(x) @ eta
    return family.log_base_measure(x) + linear  # type: ignore[arg-type]  # a bag of words takes Counts
