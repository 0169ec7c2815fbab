"""AffineFit: batches of pairs (t, eta) -> how much of eta an affine map of t explains, on any number of processes."""

from __future__ import annotations

from dataclasses import dataclass
from functools import reduce
from typing import Any

from jaxtyping import Float
from torch import Tensor
from torchmetrics import Metric
from torchmetrics.utilities import dim_zero_cat

from vae_lightning.metrics import functional
from vae_lightning.metrics.functional import deviations
from vae_lightning.metrics.functional.active_units import deviations_of
from vae_lightning.metrics.functional.affine_fit import PairMoments, fit_moments, pair_moments, unflatten
from vae_lightning.metrics.gather import gather_rows


@dataclass(frozen=True, eq=False)
class Pairs:
    """Inputs t and outputs eta of a map, row by row, and samples of the statistics that eta multiplies.

    The rows of `statistics` are as many as there are observations, whatever the number of pairs.
    """

    inputs: Float[Tensor, "N I"]
    outputs: Float[Tensor, "N O"]
    statistics: Float[Tensor, "M O"]


class AffineFit(Metric):
    """R^2 of the affine map of t that is nearest to eta, adjusted for the number of pairs.

    Output i counts with the variance of the statistic T_i that it multiplies in <eta, T>, so that the figure depends on
    no units, and a statistic that never varies, such as a pixel that is always black, does not count. Kept are centred
    moments in float64, (I + O + I^2 + I O) numbers, merged exactly over batches and processes.

    Args:
        coupled: which outputs may depend on t; the others are fitted by constants.

    Examples:
        >>> import torch
        >>> from vae_lightning.metrics import AffineFit
        >>> from vae_lightning.metrics.affine_fit import Pairs
        >>> t = torch.randn(100, 2)
        >>> metric = AffineFit()
        >>> metric.update(Pairs(t, 3 * t + 1, torch.randn(100, 2)))
        >>> round(metric.compute()["r2"].item(), 4)
        1.0
    """

    is_differentiable = False
    higher_is_better = True
    full_state_update = False
    moments: list[Tensor]
    statistics: list[Tensor]

    def __init__(self, coupled: slice = slice(None), **kwargs: Any) -> None:
        super().__init__(**{"dist_sync_fn": gather_rows} | kwargs)
        self.coupled = coupled
        for name in ("moments", "statistics"):
            self.add_state(name, [], dist_reduce_fx="cat")

    def update(self, pairs: Pairs) -> None:
        """Add a batch; ValueError for values that are not finite."""
        moments = [*_rows(self.moments), pair_moments(pairs.inputs, pairs.outputs)]
        self.moments = [reduce(PairMoments.merge, moments).flat()[None]]
        self.statistics = deviations.added(self.statistics, deviations_of(pairs.statistics))

    def fit(self) -> functional.AffineFit:
        """The map itself, of this process's pairs, or of all of them within `compute`."""
        return fit_moments(reduce(PairMoments.merge, _rows(self.moments)), self.coupled)

    def compute(self) -> dict[str, Tensor]:
        """`r2`, NaN for too few pairs, and `r2_error`, at least its standard error for Gaussian pairs.

        With d = N - 1 - rank it is 2 (1 - R^2) / sqrt(d). Source: Olkin, Finn, Correlations Redux (1995).
        """
        fit, statistics = self.fit(), deviations.merged(self.statistics)
        r2 = fit.adjusted_r_squared(statistics.squares / statistics.count)
        return {"r2": r2, "r2_error": 2 * (1 - r2) / (fit.count - 1 - fit.rank).sqrt()}


def _rows(state: list[Tensor] | Tensor) -> list[PairMoments]:
    return [unflatten(row) for row in (dim_zero_cat(state) if len(state) else ())]
