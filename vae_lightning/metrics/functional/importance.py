"""Log importance weights -> bounds on log p(x), their bias correction, effective sample sizes and error bars."""

from __future__ import annotations

import math
from dataclasses import dataclass

from jaxtyping import Float, Float64
from torch import Tensor

from vae_lightning.log_mean import log_mean, log_share_of_others, variance_of_log_mean


@dataclass(frozen=True, eq=False)
class Estimate:
    """A mean with its standard error, in the units of what was averaged."""

    mean: Float64[Tensor, ""]
    standard_error: Float64[Tensor, ""]


def importance_weighted_bound(log_weight: Float[Tensor, "samples *batch"]) -> Float[Tensor, "*batch"]:
    """L_K = log 1/K sum_k w_k, in nats: (S, B) -> (B,), one value per observation with K = S samples.

    With w = p(x, z) / q(z | x) its expectation is a lower bound on log p(x) that rises with K; K = 1 is the ELBO.
    Raises ValueError without samples. Source: Burda et al., Importance Weighted Autoencoders (2016), Eq. 8.

    Examples:
        >>> import torch
        >>> from vae_lightning.metrics.functional import importance_weighted_bound
        >>> log_weight = torch.tensor([[1.0], [3.0]]).log()  # (S, B): weights 1 and 3 of one observation
        >>> importance_weighted_bound(log_weight).exp()
        tensor([2.])
    """
    _check_samples(log_weight, 1)
    return log_mean(log_weight)


def grouped_bound(log_weight: Float[Tensor, "samples *batch"], k: int) -> Float[Tensor, "*batch"]:
    """L_k in nats from S >= k samples: the mean of L_k over S // k disjoint groups of k; (S, B) -> (B,).

    Its expectation is that of one group, with S // k times less variance; the S mod k samples left over are not used.
    Where k divides k' and k' divides S, L_k <= L_k' holds for the figures themselves, not only in expectation
    (Jensen's inequality). Raises ValueError unless 1 <= k <= S.
    """
    _check_samples(log_weight, max(k, 1))
    if k < 1:
        raise ValueError(f"L_k is of k >= 1 samples, got k = {k}")
    groups = len(log_weight) // k
    return importance_weighted_bound(log_weight[: groups * k].unflatten(0, (groups, k)).transpose(0, 1)).mean(0)


def jackknife_bound(log_weight: Float[Tensor, "samples *batch"]) -> Float[Tensor, "*batch"]:
    """K L_K - (K - 1) mean_k L_{K-1} without sample k, in nats: L_K with its bias of order 1/K removed; (S, B) -> (B,).

    Its expectation is nearer to log p(x), yet no bound. Raises ValueError for fewer than two samples.
    Source: Nowozin, Debiasing Evidence Approximations (2018), Eq. 10 for order 1.
    """
    return jackknife(log_weight)[0]


def importance_weighted_variance(log_weight: Float[Tensor, "samples *batch"]) -> Float[Tensor, "*batch"]:
    """Variance of L_K over the draws of its K samples, in nats^2, from leaving each of them out; (S, B) -> (B,).

    `log_mean.variance_of_log_mean`: in expectation at least the variance of L_{K-1}, for weights of any distribution,
    so that the error of a small K is rather too large than too small (about 1.3 times at K = 2, 1.03 at K = 20).
    Weights that no sample met are in neither. Raises ValueError for fewer than two samples.
    """
    return jackknife(log_weight)[1]


def jackknife(
    log_weight: Float[Tensor, "samples *batch"],
) -> tuple[Float[Tensor, "*batch"], Float[Tensor, "*batch"]]:
    """`jackknife_bound` and `importance_weighted_variance`, which both leave one sample out at a time."""
    _check_samples(log_weight, 2)
    k, log_share = len(log_weight), log_share_of_others(log_weight)
    # L_{K-1} without sample k is L_K + log share + log K / (K - 1)
    correction = log_share.mean(0) + math.log(k / (k - 1))
    return log_mean(log_weight) - (k - 1) * correction, variance_of_log_mean(log_share)


def effective_sample_size(log_weight: Float[Tensor, "samples *batch"]) -> Float[Tensor, "*batch"]:
    """(sum_k w_k)^2 / sum_k w_k^2, between 1 and K: how many equal weights tell as much; (S, B) -> (B,).

    NaN where every weight is zero. Raises ValueError without samples.
    Source: Kong, A Note on Importance Sampling using Standardized Weights (1992).

    Examples:
        >>> import torch
        >>> from vae_lightning.metrics.functional import effective_sample_size
        >>> effective_sample_size(torch.zeros(10, 1)), effective_sample_size(torch.tensor([[0.0], [-50.0]]))
        (tensor([10.]), tensor([1.]))
    """
    _check_samples(log_weight, 1)
    return 1 / log_weight.softmax(0).square().sum(0)


def mean_over_data(values: Float[Tensor, " observations"]) -> Estimate:
    """The mean of one value per observation, with sd / sqrt(N): the error over data and over samples together.

    No delta method: values are independent, and each is used as it is. For a fixed data set, where the samples alone
    vary, use sqrt(sum of `importance_weighted_variance`) / N. The error of one observation is NaN.
    Raises ValueError unless values are (N,) with N >= 1.
    """
    if values.ndim != 1 or not len(values):
        raise ValueError(f"a mean over data needs values (N,) with N >= 1, got shape {tuple(values.shape)}")
    values = values.double()
    deviation = values.std() if len(values) > 1 else values.new_tensor(math.nan)
    return Estimate(values.mean(), deviation / math.sqrt(len(values)))


def _check_samples(log_weight: Tensor, least: int) -> None:
    if log_weight.ndim < 1 or len(log_weight) < least:
        raise ValueError(
            f"log-weights must be (S, B) with S >= {least} samples, got shape {tuple(log_weight.shape)}: raise K"
        )
