"""Filled: what a model guesses of every entry of some rows -> those rows with the observed entries put back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Float64
from torch import Tensor


@dataclass(frozen=True, eq=False)
class Imputed:
    """Rows (n, *X) whose missing entries have a distribution given the observed ones; these are as they were.

    Attributes:
        missing: which entries were.
        mean: E[x_missing | x_observed]; of categories in a column, of their number.
        stddev: the standard deviation of x_missing given x_observed, 0 where it was observed.
        stderr: the standard error of the mean, over the samples.
        best: the mean, or the number of the most probable category: what to fill in.
        effective_sample_size: of each row, (n,): how many independent samples its own are worth; infinite where nothing
            was missing. Near 1 neither the mean nor its error can be trusted.
        draws: complete rows, (draws, n, *X), each a draw of x_missing given x_observed: multiple imputation.
    """

    missing: Bool[Tensor, "n *X"]
    mean: Float64[Tensor, "n *X"]
    stddev: Float64[Tensor, "n *X"]
    stderr: Float64[Tensor, "n *X"]
    best: Float64[Tensor, "n *X"]
    effective_sample_size: Float64[Tensor, " n"]
    draws: Float[Tensor, "draws n *X"]


@dataclass(frozen=True, eq=False)
class Guess:
    """A guess at every entry of rows (b, *X), before the observed ones are put back."""

    mean: Float64[Tensor, "b *X"]
    variance: Float64[Tensor, "b *X"]
    squared_error: Float64[Tensor, "b *X"]
    best: Float64[Tensor, "b *X"]
    effective_sample_size: Float64[Tensor, " b"]
    draws: Float[Tensor, "draws b *X"]


def in_pieces(x: Float[Tensor, "n *X"], draws: int, at_once: int, guess: Callable[[Tensor], Guess]) -> Imputed:
    """Guess those rows that have something missing, some at a time, and put back what was observed."""
    if not isinstance(x, Tensor) or x.ndim < 2:
        raise TypeError(f"missing entries are NaN in rows (n, *X), a tensor; got {type(x).__name__}")
    if draws < 0:
        raise ValueError(f"draws counts complete rows to draw for each, 0 or more; got {draws}")
    missing = x.isnan()
    mean, drawn = x.to(torch.float64, copy=True), x.expand(draws, *x.shape).clone()
    best, variance, squared_error = mean.clone(), torch.zeros_like(mean), torch.zeros_like(mean)
    worth = mean.new_full((len(x),), torch.inf)
    which = missing.flatten(1).any(1).nonzero()[:, 0]
    for rows in which.split(at_once) if len(which) else ():
        part, away = guess(x[rows]), missing[rows]
        for whole, found in ((mean, part.mean), (best, part.best)):
            whole[rows] = torch.where(away, found, whole[rows])
        for whole, found in ((variance, part.variance), (squared_error, part.squared_error)):
            whole[rows] = torch.where(away, found.clamp_min(0), 0.0)
        drawn[:, rows] = torch.where(away, part.draws.to(x), drawn[:, rows])
        worth[rows] = part.effective_sample_size
    return Imputed(missing, mean, variance.sqrt(), squared_error.sqrt(), best, worth, drawn)
