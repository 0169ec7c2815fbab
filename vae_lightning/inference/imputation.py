"""Imputation: (model, rows with missing entries) -> what those are likely to be, with errors, and draws of them."""

from __future__ import annotations

import torch
from jaxtyping import Float, Float64
from torch import Tensor

from vae_lightning.distributions import sample
from vae_lightning.families.columns import category_probabilities
from vae_lightning.inference.filled import Guess, Imputed, in_pieces
from vae_lightning.inference.importance import Posterior, Proposal, Weighed, check_samples, rows_at_once
from vae_lightning.inference.incomplete import incomplete
from vae_lightning.inference.weighted import WeightedSums
from vae_lightning.latent_variable import LatentVariableModel
from vae_lightning.randomness import Noise

_SAMPLES = 64  # of z for a row at once, where memory allows


@torch.no_grad()
def imputed(
    model: LatentVariableModel,
    x: Float[Tensor, "n *X"],
    num_samples: int = 1000,
    draws: int = 0,
    proposal: Proposal | None = None,
    noise: Noise | None = None,
    chunk: int | None = None,
) -> Imputed:
    """The missing entries (NaN) of rows given the observed ones, by importance samples z_k of q(z | x_observed).

        E[x_missing | x_observed]  =~  sum_k w_k E[x_missing | z_k] / sum_k w_k,   w_k = p(x_observed, z_k) / q(z_k | x)

    self-normalised, of which the error is (sum_k w_k^2 (E[x | z_k] - mean)^2)^1/2 / sum_k w_k. Draws are of
    sampling-importance-resampling: z among the samples by their weights, x from p(x | z). A model of complete rows will
    do: its encoder sees zeros for what is missing, and the weights make up for a poor q. In float64; memory is that of
    one chunk, however many samples there are.

    Args:
        model: encoder, decoder and prior.
        x: rows with NaN where something is missing.
        num_samples: K, for each row.
        draws: how many complete rows to draw for each.
        proposal: what z_k is drawn from in place of q(z | x).
        noise: where z takes its randomness from.
        chunk: rows of the decoder at once, as in `log_weights`.

    ValueError for K or a chunk below 1, TypeError for a decoder whose variables depend on each other.
    Source: Mattei and Frellsen, MIWAE (2019), Eq. 12; Rubin (1987) for the resampling.

    Examples:
        >>> import torch
        >>> from vae_lightning.families import Normal, PartlyObserved
        >>> from vae_lightning.inference import imputed
        >>> from vae_lightning.models import GaussianVAE
        >>> _ = torch.manual_seed(0)
        >>> x = torch.randn(4, 3)
        >>> x[0, 1] = torch.nan
        >>> found = imputed(GaussianVAE(1, PartlyObserved(Normal(3, 1.0))).model, x, num_samples=100, draws=5)
        >>> found.mean.shape, found.draws.shape, bool(found.stderr[0, 1] < 0.3), found.stderr.count_nonzero().item()
        (torch.Size([4, 3]), torch.Size([5, 4, 3]), True, 1)
    """
    check_samples(num_samples, chunk)
    weighed, proposal, noise = incomplete(model, x), proposal or Posterior(), noise or Noise()
    chunk = chunk or rows_at_once(weighed, x)
    at_once = max(1, chunk // min(num_samples, _SAMPLES))
    return in_pieces(x, draws, at_once, lambda part: _guess(weighed, part, num_samples, draws, proposal, noise, chunk))


def _guess(
    model: Weighed, x: Tensor, num_samples: int, draws: int, proposal: Proposal, noise: Noise, chunk: int
) -> Guess:
    sums, centre, categories = WeightedSums(draws), None, []
    with torch.autocast(x.device.type, enabled=False):
        q, prior = proposal(model.encoder(x)), model.prior()
        for part in torch.arange(num_samples).split(max(1, chunk // len(x))):
            z = sample(q, len(part), noise)
            p = model.decoder(z)
            log_weight = p.log_prob(x).double() + prior.log_prob(z) - q.log_prob(z)
            mean, categories = p.mean.double(), category_probabilities(p)
            centre = mean[0] if centre is None else centre  # small sums lose no digits
            away = mean - centre
            once = [away, p.variance.double() + away.square(), *(each for _, each in categories)]
            sums.add(log_weight, once, [away, away.square()], z)
        drawn = x.new_empty(0, *x.shape) if sums.kept is None else model.decoder(sums.kept).sample()
    assert centre is not None, "there is a sample"
    shift = sums.mean(0)
    squared_error = sums.squared(1) - 2 * shift * sums.squared(0) + shift.square() * sums.weight_squared(shift)
    probabilities = [(columns, sums.mean(2 + index)) for index, (columns, _) in enumerate(categories)]
    best = _most_probable(centre + shift, probabilities)
    variance = sums.mean(1) - shift.square()
    return Guess(centre + shift, variance, squared_error, best, sums.effective_sample_size, drawn)


def _most_probable(
    mean: Float64[Tensor, "b *X"], probabilities: list[tuple[slice, Float64[Tensor, "b columns classes"]]]
) -> Float64[Tensor, "b *X"]:
    """The mean, but in columns of categories the number of the most probable one."""
    best = mean.clone()
    for columns, each in probabilities:
        best[:, columns] = each.argmax(-1).to(best)
    return best
