"""Series of Markov chains -> how many of their steps are worth one independent draw."""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor

_WIDTH = 5.0  # the window in autocorrelation times, beyond which correlations are noise


def autocorrelation_time(values: Float[Tensor, "steps chains"]) -> float:
    """The integrated autocorrelation time of a figure f along chains, in steps.

        tau = 1 + 2 sum_k rho_k,     rho_k the correlation of f at a step and k steps later,

    about the mean of all chains, which must begin where they are to stay: in draws of the distribution, or after a
    burn-in. A mean over T steps of a chain has the variance of T / tau independent draws. The sum ends at the first
    k >= 5 max(tau, 1); inf if there is none among the steps, so that chains which stay where they began do not look
    mixed.

    Raises ValueError for fewer than two steps, and for an f that is the same at all steps of all chains.
    Source: Sokal, Monte Carlo Methods in Statistical Mechanics (1997), Sec. 3.

    Examples:
        >>> import torch
        >>> from vae_lightning.metrics.functional import autocorrelation_time
        >>> _ = torch.manual_seed(0)
        >>> draws = torch.randn(1000, 10)
        >>> round(autocorrelation_time(draws), 1)  # independent
        1.0
        >>> autocorrelation_time(draws[:1].expand(1000, -1))  # ten chains that never move
        inf
    """
    if len(values) < 2:
        raise ValueError(f"an autocorrelation needs at least 2 steps, got values {tuple(values.shape)}")
    steps = len(values)
    centred = values.double() - values.double().mean()
    if not centred.any():
        raise ValueError("the figure is the same at all steps of all chains: take one that tells the modes apart")
    power = torch.fft.rfft(centred, n=2 * steps, dim=0).abs().square().mean(1)
    covariance = torch.fft.irfft(power)[:steps] / torch.arange(steps, 0, -1, device=values.device)
    times = 2 * (covariance / covariance[0]).cumsum(0) - 1
    window = torch.arange(steps, device=values.device) >= _WIDTH * times.clamp_min(1)
    return float(times[window.int().argmax()]) if window.any() else math.inf
