"""Normaliser: a harmonium -> log Z with its error: exact where one side has few values, else by annealing."""

from __future__ import annotations

import torch
from torch import Tensor

from vae_lightning.families.enumeration import states
from vae_lightning.harmonium.annealing import LogMean
from vae_lightning.harmonium.harmonium import Harmonium
from vae_lightning.harmonium.lengths import annealed_through_lengths


def is_summed(model: Harmonium, most_bits: int) -> bool:
    """Whether log Z has a closed form, or is a sum over at most 2^most_bits values of the smaller side."""
    found = [states(family) for family in (model.visible, model.hidden)]
    bits = min((side.bits for side in found if side is not None), default=torch.inf)
    return model.joint_normal is not None or bits <= most_bits


@torch.no_grad()
def log_normaliser(
    model: Harmonium, num_chains: int = 100, steps: int = 1000, start: Tensor | None = None, most_bits: int = 16
) -> LogMean:
    """Log Z, () or (*L) for documents of lengths (*L), ascending; an exact one is worth infinitely many chains."""
    if is_summed(model, most_bits):
        exact = model.log_partition().double()
        return LogMean(exact, torch.zeros_like(exact), torch.full_like(exact, torch.inf))
    if model.has_lengths:
        totals = model.visible.total  # type: ignore[attr-defined]  # a family of documents has their lengths
        return LogMean.of(annealed_through_lengths(model, num_chains, totals, steps))
    betas = torch.linspace(0, 1, steps + 1, device=model.weight.device)
    return model.annealed_log_partition(num_chains, betas, start)
