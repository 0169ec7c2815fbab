"""Weighted: weighted samples, some at a time -> means, their errors, and samples drawn in proportion to the weights."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float, Float64
from torch import Tensor


class WeightedSums:
    """Sums over samples s of w^k f, for rows (B,), in float64; weights may be of any size, and come some at a time."""

    def __init__(self, draws: int) -> None:
        self.draws = draws
        self.top: Tensor | None = None  # the largest log-weight yet, of which all weights are multiples
        self.first: list[Tensor] = []  # sums of w f
        self.second: list[Tensor] = []  # sums of w^2 f
        self.kept: Tensor | None = None

    def add(
        self,
        log_weight: Float64[Tensor, "samples batch"],
        once: Sequence[Tensor],
        squared: Sequence[Tensor],
        z: Float[Tensor, "samples batch *latent"],
    ) -> None:
        """Add w f of each f in `once` (S, B, ...), and w^2 f of each in `squared`, to the sums; draw from z, too."""
        top = log_weight.amax(0)
        top = top if self.top is None else torch.maximum(top, self.top)
        unit = torch.where(top == -torch.inf, 0.0, top)  # no weight yet
        weight = (log_weight - unit).exp()
        ones, old = torch.ones_like(weight), None if self.top is None else (self.top - unit).exp()
        self.first = _added(self.first, old, weight, [ones, *once])
        self.second = _added(self.second, None if old is None else old.square(), weight.square(), [ones, *squared])
        self.top = top
        if self.draws:
            self._draw(weight, z)

    def mean(self, index: int) -> Float64[Tensor, "batch *event"]:
        """Sum w f / sum w, of the f `once` with this number."""
        return self._share(self.first[1 + index], 1)

    def squared(self, index: int) -> Float64[Tensor, "batch *event"]:
        """Sum w^2 f / (sum w)^2, of the f `squared` with this number."""
        return self._share(self.second[1 + index], 2)

    def weight_squared(self, like: Float64[Tensor, "batch *event"]) -> Float64[Tensor, "batch *ones"]:
        """Sum w^2 / (sum w)^2, to be multiplied with values of rows."""
        return _by_row(1 / self.effective_sample_size, like)

    @property
    def effective_sample_size(self) -> Float64[Tensor, " batch"]:
        """(sum w)^2 / sum w^2."""
        return self.first[0].square() / self.second[0]

    def _share(self, total: Tensor, power: int) -> Tensor:
        return total / _by_row(self.first[0] ** power, total)

    def _draw(self, weight: Float64[Tensor, "samples batch"], z: Tensor) -> None:
        """Replace each kept z by one of the new ones with the probability that it is one of them."""
        rows = torch.arange(z.shape[1], device=z.device)
        chosen = torch.multinomial(weight.mT.nan_to_num(0) + 1e-300, self.draws, replacement=True).mT
        new = z[chosen, rows]
        if self.kept is None:
            self.kept = new
            return
        replaced = torch.rand(chosen.shape, dtype=weight.dtype, device=z.device) < weight.sum(0) / self.first[0]
        self.kept = torch.where(replaced.reshape(*replaced.shape, *[1] * (z.ndim - 2)), new, self.kept)


def _added(
    sums: list[Tensor], old: Tensor | None, weight: Float64[Tensor, "samples batch"], values: Sequence[Tensor]
) -> list[Tensor]:
    new = [torch.einsum("sb,sb...->b...", weight, value.double()) for value in values]
    if old is None:
        return new
    return [total + _by_row(old, before) * before for total, before in zip(new, sums, strict=True)]


def _by_row(factor: Float64[Tensor, " batch"], like: Float64[Tensor, "batch *event"]) -> Float64[Tensor, "batch *ones"]:
    return factor.reshape(-1, *[1] * (like.ndim - 1))
