"""Log-weights -> the log of their mean, and how much that varies with the draws, told by leaving each of them out."""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor


def log_mean(log_weight: Float[Tensor, "n *batch"]) -> Float[Tensor, "*batch"]:
    """Log 1/n sum_k w_k."""
    return log_weight.logsumexp(0) - math.log(len(log_weight))


def log_share_of_others(log_weight: Float[Tensor, "n *batch"]) -> Float[Tensor, "n *batch"]:
    """Log of sum_{j != k} w_j / sum_j w_j for each k: -inf where no other weight is positive.

    Only a share above 1/2, the largest weight's, would cancel: the others of that one are summed.
    """
    total = log_weight.logsumexp(0)
    largest = log_weight.argmax(0, keepdim=True)
    is_largest = torch.zeros_like(log_weight, dtype=torch.bool).scatter(0, largest, True)
    share = (log_weight - total).exp().masked_fill(is_largest, 0)
    without_largest = log_weight.masked_fill(is_largest, -math.inf).logsumexp(0) - total
    return torch.where(is_largest, without_largest, torch.log1p(-share))


def variance_of_log_mean(log_share: Float[Tensor, "n *batch"]) -> Float[Tensor, "*batch"]:
    """sum_k (l_k - mean l)^2, where l_k is the log-mean without draw k; of the `log_share_of_others`.

    The jackknife without its factor (n - 1) / n: in expectation at least the variance of the log-mean of n - 1 draws,
    whatever the weights' distribution, so that it is too large rather than too small where n is small: its root by
    sqrt(n / (n - 1)) or so. Infinite where a single weight is positive; NaN for one draw, or if all weights are zero.
    Source: Efron and Stein, The Jackknife Estimate of Variance (1981), Eq. 1.5.
    """
    variance = (log_share - log_share.mean(0)).square().sum(0)
    alone = log_share.isneginf().any(0) & (len(log_share) > 1)
    return variance.masked_fill(alone, math.inf)
