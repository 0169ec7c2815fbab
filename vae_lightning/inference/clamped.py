"""Clamped: (harmonium, rows with missing entries) -> what those may be, by Gibbs chains that hold the rest."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from vae_lightning.harmonium import Harmonium
from vae_lightning.inference.filled import Guess, Imputed, in_pieces

_NUMBERS = 2**21  # of all chains, at once


@torch.no_grad()
def harmonium_imputed(
    model: Harmonium,
    x: Float[Tensor, "n *X"],
    num_chains: int = 20,
    steps: int = 500,
    burn_in: int = 100,
    draws: int = 0,
) -> Imputed:
    """The missing entries (NaN) of rows given the observed ones, by block Gibbs in which the observed ones are held.

        E[v_missing | v_observed]  =~  mean over chains and steps of E[v_missing | h],   h ~ p(h | v)

    Each row has chains of its own, which start where W is 0; the error is of the chains' means, which are independent.
    It does not see what no chain has reached: modes far apart need `burn_in`, or many chains. Draws are where the first
    chains end. The effective sample size is stddev^2 / stderr^2 of the row's worst entry, at most all steps of all
    chains. Noise is torch's. Memory is bounded.

    Args:
        model: the harmonium.
        x: rows with NaN where something is missing; of one-hot vectors, in the whole vector.
        num_chains: of each row, 2 or more.
        steps: of each chain that count.
        burn_in: steps of each chain before, 0 or more.
        draws: how many complete rows to draw for each, at most as many as there are chains.

    TypeError for documents, ValueError for counts out of range.

    Examples:
        >>> import torch
        >>> from vae_lightning.families import Bernoulli
        >>> from vae_lightning.harmonium import Harmonium
        >>> from vae_lightning.inference import harmonium_imputed
        >>> rbm = Harmonium(Bernoulli(4), Bernoulli(3))
        >>> _ = torch.nn.init.zeros_(rbm.weight)  # independent fair coins
        >>> harmonium_imputed(rbm, torch.tensor([[0.0, 1.0, torch.nan, 1.0]])).mean
        tensor([[0.0000, 1.0000, 0.5000, 1.0000]], dtype=torch.float64)
    """
    if model.has_lengths:
        raise TypeError("documents have no missing entries: a word that is not there is a count of 0")
    if num_chains < 2 or steps < 1 or burn_in < 0 or draws > num_chains:
        raise ValueError(
            "imputation needs num_chains >= 2, for an error, steps >= 1, burn_in >= 0 and draws <= num_chains; got "
            f"{num_chains}, {steps}, {burn_in} and {draws}"
        )
    model.check()
    each = num_chains * (model.visible.num_parameters + model.hidden.num_parameters)
    at_once = max(1, _NUMBERS // each)
    return in_pieces(x, draws, at_once, lambda part: _guess(model, part, num_chains, steps, burn_in, draws))


def _guess(model: Harmonium, x: Tensor, num_chains: int, steps: int, burn_in: int, draws: int) -> Guess:
    missing, visible = x.isnan(), model.visible
    v = torch.where(missing, visible.sample(model.a.expand(num_chains, len(x), -1)), x)
    first = v.new_zeros(v.shape, dtype=torch.float64)
    second = torch.zeros_like(first)
    for step in range(burn_in + steps):
        p = model.visible_given(model.hidden.sample(model.hidden_natural(v)))
        v = torch.where(missing, p.sample(), x)
        if step >= burn_in:
            mean = p.mean.double()
            first += mean
            second += p.variance + mean.square()
    means = first / steps
    mean, squared_error = means.mean(0), means.var(0) / num_chains
    variance = second.mean(0) / steps - mean.square()
    worth = torch.where(missing & (squared_error > 0), variance / squared_error, torch.inf).flatten(1).amin(1)
    return Guess(mean, variance, squared_error, mean, worth.clamp_max(num_chains * steps), v[:draws])
