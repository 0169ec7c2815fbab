"""TemperedTransitions: chains that are warmed and cooled again, and then accepted or not -> the model's moments."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from jaxtyping import Float
from torch import Tensor

from vae_lightning.construction.arguments import check_kinds
from vae_lightning.harmonium.annealing import Path
from vae_lightning.harmonium.chains import Stretch
from vae_lightning.harmonium.harmonium import Harmonium
from vae_lightning.harmonium.tempered import TemperedChains


class TemperedTransitions(TemperedChains):
    """Annealed chains: after its Gibbs steps each chain is warmed and cooled again, and goes on from where it arrives.

    A walk takes v through all of `betas` from 1 to the lowest and back, with a Gibbs step at each (at the lowest, two),
    and is accepted with the probability min(1, w), which leaves p(v) invariant:

        log w = sum over the walk of log p_next(v) - log p_now(v), at the v where the temperature changes.

    Logs `acceptance`, the mean of that probability. Near 0 the chains are those of PCD, at many times the cost: take
    more temperatures, or a lowest that is higher. Unlike `ParallelTempering` it keeps no replicas: a chain is one h.

    Costs 2 K Gibbs steps more than PCD with as many chains, one after the other. The chains are a buffer, so that a
    checkpoint holds them, and are shared among the processes of a run. For every pair of families.
    Source: Neal, Sampling from Multimodal Distributions Using Tempered Transitions (1996), Sec. 3; Salakhutdinov,
    Learning in Markov Random Fields using Tempered Transitions (2009), Sec. 3.

    Args:
        steps: Gibbs steps before the walk, at least 1.
        chains: over all processes, at least one for each.
        betas: how many inverse temperatures, evenly spaced from 0 to 1; or these themselves, ascending to 1.

    Examples:
        >>> import torch
        >>> from vae_lightning.families import Bernoulli
        >>> from vae_lightning.harmonium import TemperedTransitions
        >>> from vae_lightning.models import RBM
        >>> rbm = RBM(Bernoulli(4), Bernoulli(3), TemperedTransitions(chains=20, betas=[0.5, 0.8, 1.0]))
        >>> _, figures = rbm.loss((torch.ones(5, 4), torch.zeros(5)), step=0)
        >>> sorted(figures), 0.9 < figures["acceptance"] <= 1  # a new model's W is nearly 0
        (['acceptance', 'reconstruction'], tensor(True))
    """

    def __init__(self, steps: int = 1, chains: int = 100, betas: int | Sequence[float] = 20) -> None:
        check_kinds(TemperedTransitions, locals())
        super().__init__(steps, chains, betas)

    def advance(self, model: Harmonium, h: Float[Tensor, "n *Z"]) -> Stretch:
        """So many Gibbs steps, and a walk."""
        for left in reversed(range(self.steps)):
            v = model.visible.sample(model.visible_natural(h))
            if left:
                h = model.hidden.sample(model.hidden_natural(v))
        proposed, log_weight = walk(self.path(model), v, self.ladder)
        taken = torch.rand_like(log_weight).log() < log_weight
        v = torch.where(taken.view(-1, *[1] * (v.ndim - 1)), proposed, v)
        found, h = model.hidden.mean_and_sample(model.hidden_natural(v))
        return Stretch(v, found, h, {"acceptance": log_weight.clamp_max(0).exp().mean()})


def walk(path: Path, v: Tensor, betas: Sequence[float]) -> tuple[Tensor, Float[Tensor, " n"]]:
    """Where v arrives through the betas from the last to the first and back, and log w (n,)."""
    log_weight = torch.zeros((), dtype=v.dtype, device=v.device)
    for now, warmer in pairwise(reversed(betas)):
        log_weight = log_weight + path.log_ratio(v, now, warmer)
        v = path.transition(v, warmer)
    for now, cooler in pairwise(betas):
        v = path.transition(v, now)
        log_weight = log_weight + path.log_ratio(v, now, cooler)
    return v, log_weight
