"""LogLikelihood: batches of log-weights -> importance-weighted bounds on log p(x), on any number of processes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from jaxtyping import Float
from torch import Tensor

from vae_lightning.metrics.functional.importance import (
    effective_sample_size,
    grouped_bound,
    jackknife,
)
from vae_lightning.metrics.means import MeanWithError, with_errors


class LogLikelihood(MeanWithError):
    """L_K for several K from one pass of the largest, with errors, effective sample size and the jackknife.

        L_K = 1/N sum_n log 1/K sum_k p(x_n, z_nk) / q(z_nk | x_n)  <=  1/N sum_n log p(x_n)   in expectation

    in nats, constants included, higher is better; each smaller K uses all samples, in disjoint groups
    (`functional.grouped_bound`). Only sums of per-observation figures are kept, in float64.

    Args:
        Ks: the numbers of samples; update wants as many log-weights as the largest.

    TypeError or ValueError unless Ks are different whole numbers >= 1.

    Source: Burda et al., Importance Weighted Autoencoders (2016), Eq. 8; the jackknife (JVI): Nowozin, Debiasing
    Evidence Approximations (2018), Eq. 10.

    Examples:
        >>> import torch
        >>> from vae_lightning.metrics import LogLikelihood
        >>> metric = LogLikelihood(Ks=(1, 10))
        >>> metric.update(torch.full((10, 5), -3.0))  # log-weights of 10 samples for 5 observations
        >>> figures = metric.compute()
        >>> [round(figures[name].item(), 4) for name in ("log_likelihood", "effective_sample_size")]  # equal weights
        [-3.0, 10.0]
    """

    higher_is_better = True

    def __init__(self, Ks: Sequence[int] = (1, 50, 1000), **kwargs: Any) -> None:
        self.Ks = checked(Ks)
        names = [bound_name(k) for k in self.Ks] + ["effective_sample_size"]
        super().__init__((*names, "jackknife", "variance")[: None if self.Ks[-1] > 1 else -2], **kwargs)

    def update(self, log_weight: Float[Tensor, "samples batch"]) -> None:
        """Add log p(x, z) / q(z | x) of a batch, (K, B) with the largest K; ValueError for another K."""
        if len(log_weight) != self.Ks[-1]:
            raise ValueError(f"LogLikelihood needs log-weights ({self.Ks[-1]}, B), got shape {tuple(log_weight.shape)}")
        log_weight = log_weight.double()
        figures = {bound_name(k): grouped_bound(log_weight, k) for k in self.Ks}
        figures["effective_sample_size"] = effective_sample_size(log_weight)
        if self.Ks[-1] > 1:
            figures["jackknife"], figures["variance"] = jackknife(log_weight)
        self.add(figures)

    def compute(self) -> dict[str, Tensor]:
        """Means over the observations, and their standard errors as `..._error`.

        `log_likelihood` is L_K of the largest K and `log_likelihood_k{K}` that of each; `jackknife` is its correction;
        `effective_sample_size` and its share of K, `effective_sample_fraction`, say how far to trust them. An error
        is of the data and the samples together; `log_likelihood_sampling_error` of the samples alone, these data being
        fixed, by leaving each of them out (`functional.importance_weighted_variance`): for small K rather too large
        than too small. A single sample has no such error: for K = 1 it is NaN, and there is no jackknife.
        """
        estimates, largest = self.estimates(), self.Ks[-1]
        variance = estimates.pop("variance", None)
        figures = with_errors({"log_likelihood": estimates[bound_name(largest)]} | estimates)
        figures["effective_sample_fraction"] = figures["effective_sample_size"] / largest
        # the mean of N variances, over N
        squared = figures["log_likelihood"] * math.nan if variance is None else variance.mean / self.merged().count
        figures["log_likelihood_sampling_error"] = squared.sqrt()
        return figures


def bound_name(k: int) -> str:
    """What L_k is called."""
    return f"log_likelihood_k{k}"


def checked(ks: Sequence[int]) -> tuple[int, ...]:
    """The numbers in ascending order; TypeError or ValueError unless they are different whole numbers of samples."""
    if any(isinstance(k, bool) or not isinstance(k, int) for k in ks):
        raise TypeError(f"Ks are numbers of samples, whole numbers >= 1; got {list(ks)}")
    if not ks or min(ks) < 1 or len(set(ks)) != len(ks):
        raise ValueError(f"Ks are different numbers of samples >= 1, such as [1, 50, 1000]; got {list(ks)}")
    return tuple(sorted(ks))
