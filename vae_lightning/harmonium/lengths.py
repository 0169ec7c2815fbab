"""Lengths: a harmonium of documents -> log Z of every length, annealed one to the next; documents of equal length."""

from __future__ import annotations

import math

import torch
from jaxtyping import Float, Float64, Int64
from torch import Tensor

from vae_lightning.harmonium.harmonium import Harmonium


@torch.no_grad()
def annealed_through_lengths(
    model: Harmonium, num_chains: int, totals: Float[Tensor, " L"], steps: int = 1000
) -> Float64[Tensor, "chains L"]:
    """Log-weights whose mean weight is an unbiased estimate of Z_l, the normaliser of documents of l words, for each l.

        p_l(h) = exp(log h_h(h) + <b, S(h)> + l A(h)) / Z_l,     A(h) = log sum_k exp(a + W S(h))_k

    A model of documents is a path of its own: at l = 0 it is h's bias alone, whose normaliser is known, and every
    length is an intermediate distribution of all that are longer. A chain goes once through them, by weights
    exp((l' - l) A(h)) and a Gibbs step through a document of l' words, and leaves an estimate at each: the lengths
    together cost what the longest costs alone. Annealing the coupling in place of the length starts anew for each.

    Args:
        model: its visible family is Multinomial; the total of the latter, if it has one, is not read.
        num_chains: independent runs.
        totals: (L,), ascending lengths, 0 or more.
        steps: lengths on the way, evenly spaced on a logarithmic scale beside those asked for; where documents are
            shorter than that, every whole number.

    Raises TypeError for a model without lengths, and ValueError for lengths that do not ascend.
    Source: Neal, Annealed Importance Sampling (2001), Eq. 11.
    """
    if len(totals) == 0 or not (totals.diff() > 0).all() or totals[0] < 0:
        raise ValueError(f"lengths of documents must ascend from 0 or more, got {totals.tolist()[:10]}")
    hidden, way = model.hidden, _way(totals, steps)
    h, log_weight = hidden.sample(model.b.expand(num_chains, -1)), hidden.log_partition(model.b).double()
    found, length = [], 0
    for longer in way.tolist():
        eta = model.visible_natural(h)
        log_weight = log_weight + (longer - length) * eta.logsumexp(-1).double()
        document = model.given(eta.new_full((num_chains,), longer)).visible.sample(eta)
        h, length = hidden.sample(model.hidden_natural(document)), longer
        found.append(log_weight)
    return torch.stack(found, 1)[:, torch.searchsorted(way, totals.long())]


def equally_long(
    totals: Float[Tensor, " n"], others: Float[Tensor, " m"]
) -> tuple[Int64[Tensor, " pairs"], Int64[Tensor, " pairs"]]:
    """Rows of the one and of the other that are equally long, in pairs, each row once; those left over have no match.

    Of such documents log Z is the same, so that free energies can be compared where log Z is not known.
    """
    (mine, rows), (theirs, others_rows) = totals.sort(stable=True), others.sort(stable=True)
    nth = torch.arange(len(mine), device=mine.device) - torch.searchsorted(mine, mine)  # of those of its length
    place = torch.searchsorted(theirs, mine) + nth
    found = place < torch.searchsorted(theirs, mine, right=True)
    return rows[found], others_rows[place[found]]


def _way(totals: Float[Tensor, " L"], steps: int) -> Int64[Tensor, " steps"]:
    """The lengths asked for and those between."""
    longest = max(float(totals[-1]), 1.0)
    between = torch.logspace(0, math.log10(longest), steps, device=totals.device).round().clamp_max(longest)
    return torch.cat((between, totals)).long().unique()
