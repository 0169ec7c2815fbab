"""Scores: (model, x) -> log p(x) of each row with its standard error and what its samples are worth."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float, Float64
from torch import Tensor

from vae_lightning.counts import Counts
from vae_lightning.harmonium import Harmonium
from vae_lightning.harmonium.annealing import LogMean
from vae_lightning.harmonium.normaliser import log_normaliser
from vae_lightning.inference.importance import Proposal, log_weights
from vae_lightning.inference.incomplete import incomplete
from vae_lightning.latent_variable import LatentVariableModel
from vae_lightning.randomness import Noise


@dataclass(frozen=True, eq=False)
class Scores:
    """Log p(x) of n rows in nats; its standard error over the samples; how many equal weights its own are worth.

    An exact figure has error 0 and infinitely many samples. With an effective sample size near 1, one sample has all
    the weight: neither the figure, which is too low on average, nor its error can be trusted.
    """

    log_likelihood: Float64[Tensor, " n"]
    stderr: Float64[Tensor, " n"]
    effective_sample_size: Float64[Tensor, " n"]


@torch.no_grad()
def scores(
    model: LatentVariableModel,
    x: Tensor | Counts,
    num_samples: int = 1000,
    proposal: Proposal | None = None,
    noise: Noise | None = None,
    chunk: int | None = None,
) -> Scores:
    """Log 1/K sum_k w_k with w_k = p(x, z_k) / q(z_k | x), for each row of x (n, *X); of NaN, log p of the others.

    In float64, memory as in `log_weights`, whose arguments these are. The error is of the log, by leaving each sample
    out; NaN for K = 1. ValueError for K or a chunk below 1.

    Source: Burda et al., Importance Weighted Autoencoders (2016), Eq. 8; with missing entries: Mattei and Frellsen,
    MIWAE (2019), Eq. 4.

    Examples:
        >>> import torch
        >>> from vae_lightning.families import Normal
        >>> from vae_lightning.inference import scores
        >>> from vae_lightning.models import GaussianVAE
        >>> _ = torch.manual_seed(0)
        >>> found = scores(GaussianVAE(1, Normal(3, 1.0)).model, torch.randn(4, 3), num_samples=100)
        >>> found.log_likelihood.shape, bool((found.stderr < 0.5).all())
        (torch.Size([4]), True)
    """
    parts = [LogMean.of(each) for each in log_weights(incomplete(model, x), x, num_samples, proposal, noise, chunk)]
    return Scores(
        torch.cat([part.value for part in parts]),
        torch.cat([part.stderr for part in parts]),
        torch.cat([part.effective_sample_size for part in parts]),
    )


@torch.no_grad()
def harmonium_scores(
    model: Harmonium,
    x: Tensor | Counts,
    num_chains: int = 100,
    steps: int = 1000,
    start: Tensor | None = None,
    most_bits: int = 16,
) -> Scores:
    """Log p(v) = -F(v) - log Z of each row: exact where one side has few values, else with log Z by annealing.

    The error is that of log Z, one and the same in all rows (of documents: of one length), so that differences between
    them have none. On average log Z is too low, and log p(v) too high, until chains follow: more steps mend that.

    Args:
        model: the harmonium.
        x: (n, *X), complete, or n rows of counts.
        num_chains: of annealing.
        steps: of annealing.
        start: the visible bias where annealing starts, as in `Harmonium.annealed_log_partition`.
        most_bits: a side of at most 2^most_bits values is summed over.

    Source: Salakhutdinov, Murray, On the Quantitative Analysis of Deep Belief Networks (2008), Sec. 4.1.

    Examples:
        >>> import torch
        >>> from vae_lightning.families import Bernoulli
        >>> from vae_lightning.harmonium import Harmonium
        >>> from vae_lightning.inference import harmonium_scores
        >>> rbm = Harmonium(Bernoulli(4), Bernoulli(3))
        >>> _ = torch.nn.init.zeros_(rbm.weight)
        >>> harmonium_scores(rbm, torch.ones(2, 4)).log_likelihood  # 4 log 1/2
        tensor([-2.7726, -2.7726], dtype=torch.float64)
    """
    return HarmoniumScorer.of(model, sizes_of(model, x), num_chains, steps, start, most_bits)(x)


@dataclass(frozen=True, eq=False)
class HarmoniumScorer:
    """Log p(v) = -F(v) - log Z of any rows, some at a time, by one log Z: `log_z` is that of documents of `sizes`."""

    model: Harmonium
    sizes: Float[Tensor, " sizes"]
    log_z: LogMean

    @classmethod
    def of(
        cls,
        model: Harmonium,
        sizes: Float[Tensor, " sizes"],
        num_chains: int = 100,
        steps: int = 1000,
        start: Tensor | None = None,
        most_bits: int = 16,
    ) -> HarmoniumScorer:
        """For documents of these sizes, ascending, or of any one size for other rows; else as `harmonium_scores`."""
        of_sizes = model.given(sizes) if model.has_lengths else model
        return cls(model, sizes, log_normaliser(of_sizes, num_chains, steps, start, most_bits))

    @torch.no_grad()
    def __call__(self, x: Tensor | Counts) -> Scores:
        """ValueError for rows that are not complete."""
        free_energy = self.model.free_energy(x).double()
        if not free_energy.isfinite().all():
            bad = int((~free_energy.isfinite()).sum())
            raise ValueError(f"log p(v) is of complete rows, {bad} of {len(free_energy)} are not: impute them first")
        which = torch.searchsorted(self.sizes, sizes_of_each(self.model, x))
        value, stderr, worth = (
            each.expand(len(self.sizes))[which]
            for each in (self.log_z.value, self.log_z.stderr, self.log_z.effective_sample_size)
        )
        return Scores(-free_energy - value, stderr, worth)


def sizes_of_each(model: Harmonium, x: Tensor | Counts) -> Float[Tensor, " n"]:
    """How long each document is; 0 for other rows."""
    if not model.has_lengths:
        return model.weight.new_zeros(len(x))
    return x.total if isinstance(x, Counts) else x.sum(-1)


def sizes_of(model: Harmonium, x: Tensor | Counts) -> Float[Tensor, " sizes"]:
    """The distinct sizes, ascending."""
    return sizes_of_each(model, x).unique()
