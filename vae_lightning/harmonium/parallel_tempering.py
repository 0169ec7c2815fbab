"""ParallelTempering: chains at many temperatures that exchange their states -> the model's moments."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int64
from torch import Size, Tensor

from vae_lightning.construction.arguments import check_kinds
from vae_lightning.harmonium.chains import Stretch
from vae_lightning.harmonium.harmonium import Harmonium
from vae_lightning.harmonium.tempered import TemperedChains
from vae_lightning.harmonium.tempering import Tempering


class ParallelTempering(TemperedChains):
    """PT, replica exchange: each chain is K replicas, one at every temperature, which move and exchange their states.

    A move is a Gibbs step of every replica, at its own p_beta, and two rounds of exchanges, of even pairs of neighbours
    and of odd ones. Replicas at beta < beta' exchange their v and v' with the probability

        min(1, p_beta(v') p_beta'(v) / (p_beta(v) p_beta'(v'))),

    with h summed out, which leaves the joint of all replicas invariant. Those at beta = 1 give the model's moments. At
    beta = 0 every step is an independent draw, so that a state that has come down from there is new: where
    `PersistentContrastiveDivergence` stays in the mode in which it began, these chains move between modes.

    Logs `swap_rate_1` to `swap_rate_{K-1}`, the mean probability of an exchange between the k-th and the next
    temperature, from the warmest. A pair near 0 cuts the ladder in two: put temperatures between, by `betas`.

    Costs K times the chains of PCD; fewer chains do, as they mix. They are a buffer, so that a checkpoint holds them,
    and are shared among the processes of a run. For every pair of families; documents have lengths of their own.
    Source: Desjardins, Courville, Bengio, Vincent, Delalleau, Tempered Markov Chain Monte Carlo for Training of
    Restricted Boltzmann Machines (2010), Sec. 3; Cho, Raiko, Ilin, Parallel Tempering Is Efficient for Learning
    Restricted Boltzmann Machines (2010).

    Args:
        steps: moves for a gradient, at least 1.
        chains: over all processes, at least one for each; each has a replica for every temperature.
        betas: how many inverse temperatures, evenly spaced from 0 to 1; or these themselves, ascending to 1.

    Examples:
        >>> import torch
        >>> from vae_lightning.families import Bernoulli
        >>> from vae_lightning.harmonium import ParallelTempering
        >>> from vae_lightning.models import RBM
        >>> rbm = RBM(Bernoulli(4), Bernoulli(3), ParallelTempering(chains=20, betas=[0.0, 0.5, 1.0]))
        >>> rbm.algorithm.hidden.shape  # chains, temperatures, h
        torch.Size([20, 3, 3])
        >>> _, figures = rbm.loss((torch.ones(5, 4), torch.zeros(5)), step=0)
        >>> sorted(figures)
        ['reconstruction', 'swap_rate_1', 'swap_rate_2']
    """

    def __init__(self, steps: int = 1, chains: int = 100, betas: int | Sequence[float] = 10) -> None:
        check_kinds(ParallelTempering, locals())
        super().__init__(steps, chains, betas)

    @property
    def chain_shape(self) -> Size:
        """A replica for each temperature."""
        return self.betas.shape

    def of_the_model(self, chains: Float[Tensor, "n K *Z"]) -> Float[Tensor, "n *Z"]:
        """Those at beta = 1."""
        return chains[:, -1]

    def advance(self, model: Harmonium, h: Float[Tensor, "n K *Z"]) -> Stretch:
        """So many Gibbs steps with exchanges."""
        path, betas = self.path(model), self.betas[:, None]
        for _ in range(self.steps):
            v = model.visible.sample(path.visible_natural(h, betas))
            swapped = exchange(path, v, betas)
            found, h = model.hidden.mean_and_sample(path.hidden_natural(swapped.field, betas))
        rates = {f"swap_rate_{pair + 1}": rate for pair, rate in enumerate(swapped.rates)}
        return Stretch(rows_at(v, swapped.origin[:, -1:])[:, 0], found[:, -1], h, rates)


class Exchanged(NamedTuple):
    """Where each replica's new v was (n, K), its field (n, K, C), and the mean probability of each pair's exchange."""

    origin: Int64[Tensor, "n K"]
    field: Float[Tensor, "n K C"]
    rates: Float[Tensor, " K-1"]


def exchange(path: Tempering, v: Float[Tensor, "n K *E"], betas: Float[Tensor, "K 1"]) -> Exchanged:
    """Exchange v between neighbours by Metropolis: pairs (0, 1), (2, 3), ..., then (1, 2), (3, 4), ..."""
    field, linear = path.said(v)
    levels = torch.arange(len(betas), device=betas.device)
    origin, here, chances = levels.expand(len(v), -1), path.log_density(field, linear, betas), []
    for first in (0, 1):
        partner = partners(levels, first)
        there = path.log_density(field, linear, betas[partner])
        gain = there - here
        log_ratio = gain + gain[:, partner]
        source = torch.where(accepted(log_ratio, partner), partner, levels)
        here = torch.where(source == levels, here, there[:, partner])
        field, linear, origin = rows_at(field, source), rows_at(linear, source), origin.gather(1, source)
        chances.append(log_ratio.clamp_max(0).exp().mean(0))
    even, odd = chances
    return Exchanged(origin, field, torch.where(levels % 2 == 0, even, odd)[:-1])


def partners(levels: Int64[Tensor, " K"], first: int) -> Int64[Tensor, " K"]:
    """With whom each level may exchange, in pairs from `first` on; itself for one that is left over."""
    partner = levels + 1 - 2 * ((levels - first) % 2)
    return torch.where((partner < 0) | (partner >= len(levels)), levels, partner)


def accepted(log_ratio: Float[Tensor, "n K"], partner: Int64[Tensor, " K"]) -> Bool[Tensor, "n K"]:
    """Whether each exchanges; both of a pair have one noise."""
    noise = torch.rand_like(log_ratio)[:, torch.minimum(partner, partner[partner])]  # of the warmer
    return noise.log() < log_ratio


def rows_at(x: Float[Tensor, "n K *E"], place: Int64[Tensor, "n J"]) -> Float[Tensor, "n J *E"]:
    """x[i, place[i, j]] at [i, j]."""
    return x[torch.arange(len(x), device=x.device)[:, None], place]
