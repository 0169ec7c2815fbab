"""LatentScatter: a picture of where the encoder puts the observations, and where the prior expects them."""

from __future__ import annotations

from typing import Any

import lightning.pytorch as pl
import torch
from jaxtyping import Float, Shaped
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Size, Tensor
from torch.distributions import Distribution
from torchmetrics import Metric
from torchmetrics.utilities import dim_zero_cat

from vae_lightning.batches import Batch, labels
from vae_lightning.callbacks.base import MetricDiagnostic
from vae_lightning.callbacks.gallery import has_gallery, show
from vae_lightning.callbacks.requirements import require_latent_variable_model
from vae_lightning.distributions import mean_code
from vae_lightning.latent_variable import Draw
from vae_lightning.metrics.gather import earliest, gather_rows

PRIOR_DRAWS = 2_000
GRID = 100
MOST_COLORS = 20


class Points(Metric):
    """Codes and labels of a split's first `limit` observations, from all processes, which batches are dealt to."""

    full_state_update = False
    codes: list[Tensor]
    labels: list[Tensor]
    numbers: list[Tensor]

    def __init__(self, limit: int) -> None:
        super().__init__(dist_sync_fn=gather_rows)
        self.limit = limit
        for state in ("codes", "labels", "numbers"):
            self.add_state(state, [], dist_reduce_fx="cat")

    def update(self, codes: Float[Tensor, "batch d"], labels: Shaped[Tensor, " batch"]) -> None:
        """Add a batch, unless this process has as many as are wanted of all."""
        if sum(map(len, self.labels)) < self.limit:
            self.numbers.append(torch.full_like(labels, len(self.numbers), dtype=torch.int64))
            self.codes.append(codes.double())
            self.labels.append(labels)

    def compute(self) -> tuple[Tensor, Tensor]:
        """(codes (n, d), labels (n,)), in the order of the split."""
        numbers, codes, labels = (dim_zero_cat(state) for state in (self.numbers, self.codes, self.labels))
        codes, labels = earliest(self.limit, numbers, codes, labels)
        return codes, labels


class LatentScatter(MetricDiagnostic):
    """`latent_scatter`: posterior means E[z | x] in the plane, coloured by the label y, over the prior.

    Codes of two real numbers are drawn over contours that hold 50 % and 95 % of the prior's mass, codes of two bits
    beside those of the prior, in gray. For more dimensions the picture shows the two principal components of the means,
    with their share of the variance, and draws from the prior in gray in place of contours. At most 20 labels get
    colours. It shows the split's first n observations, the same on any number of processes. Costs nothing but the
    drawing.
    TypeError at setup for codes of one dimension.

    Args:
        n: how many observations.
        every_n_epochs: in `fit`, draw at the validation of every n-th epoch; `validate` and `test` always.
    """

    metric: Points

    def __init__(self, n: int = 2_000, every_n_epochs: int = 50) -> None:
        if n < 1:
            raise ValueError(f"LatentScatter needs n >= 1, got {n}")
        super().__init__(Points(n), every_n_epochs)

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Say before the first epoch, not after it, that there is no plane."""
        shape = require_latent_variable_model(self, pl_module).prior.event_shape
        if shape.numel() < 2:
            raise TypeError(f"LatentScatter needs codes of two dimensions or more; z is {tuple(shape)}")

    def observe(self, trainer: pl.Trainer, module: pl.LightningModule, draw: Draw, batch: Batch) -> None:
        """Keep a batch's means and labels."""
        y, codes = labels(batch), mean_code(draw.posterior).flatten(1)
        named = isinstance(y, Tensor) and y.ndim == 1
        self.metric.update(codes, y if named else torch.zeros(len(codes), dtype=torch.int64, device=codes.device))

    def report(self, trainer: pl.Trainer, module: pl.LightningModule, split: str) -> None:
        """Gather them from all processes before one of them draws."""
        codes, labels = self.metric.compute()
        if has_gallery(trainer) and len(codes):
            with torch.no_grad():
                picture = scatter(codes, labels, require_latent_variable_model(self, module).prior())
            show(trainer, split, "latent_scatter", picture)


def scatter(codes: Float[Tensor, "n d"], labels: Shaped[Tensor, " n"], prior: Distribution) -> Figure:
    """Codes coloured by label, over contours of the prior or draws from it."""
    figure = Figure((4.4, 3.2))
    axes = figure.add_axes(
        (0.17, 0.16, 0.64, 0.68), aspect="equal", adjustable="datalim"
    )  # a layout engine draws twice
    axes.locator_params(nbins=4)  # drawing takes half of its time for ticks and text
    drawn = prior.sample(Size([PRIOR_DRAWS])).flatten(1)
    if codes.shape[1] == 2:
        axes.set(xlabel="$z_1$", ylabel="$z_2$")
        if bool((drawn == drawn.round()).all()):  # bits, which have no density
            axes.set_title("Posterior means;\ngray: the prior's codes", fontsize=10)
            axes.plot(*drawn.unique(dim=0).cpu().T, "o", color="0.85", zorder=0)
        else:
            axes.set_title("Posterior means; contours:\n50 % and 95 % of the prior's mass", fontsize=10)
            _contours(axes, prior, drawn, torch.cat((codes, drawn.to(codes))))
    else:
        mean, directions, share = principal_plane(codes)
        codes, drawn = (codes - mean) @ directions, (drawn.to(codes) - mean) @ directions
        axes.set(xlabel="first component", ylabel="second component")
        axes.set_title(f"PCA of the posterior means:\n{share:.0%} of their variance; gray: the prior", fontsize=10)
        axes.plot(*drawn.cpu().T, ".", color="0.85", markersize=2, zorder=0)
    _dots(axes, codes.cpu(), labels.cpu())
    if kinds := len(axes.get_legend_handles_labels()[0]):
        tight = {"frameon": False, "markerscale": 3, "handlelength": 0.5, "columnspacing": 0.5, "borderpad": 0}
        axes.legend(loc="upper left", bbox_to_anchor=(1, 1), title="y", ncols=1 + (kinds > 10), **tight)
    return figure


def principal_plane(codes: Float[Tensor, "n d"]) -> tuple[Tensor, Tensor, float]:
    """(mean (d,), directions (d, 2), share of the variance); signs such that the largest entries are positive."""
    mean = codes.mean(0)
    _, values, directions = torch.linalg.svd(codes - mean, full_matrices=len(codes) < 2)
    directions = directions[:2].T
    signs = directions.gather(0, directions.abs().argmax(0, keepdim=True)).sign()
    share = values[:2].square().sum() / values.square().sum().clamp(min=1e-300)
    return mean, directions * signs, float(share)


def _dots(axes: Axes, codes: Tensor, labels: Tensor) -> None:
    kinds = labels.unique().tolist()
    style: dict[str, Any] = {"linestyle": "", "marker": ".", "markersize": 4}
    if not 1 < len(kinds) <= MOST_COLORS:
        axes.plot(*codes.T, color="tab:blue", **style)
        return
    colors = colormaps["tab10" if len(kinds) <= 10 else "tab20"]
    for k, kind in enumerate(kinds):
        axes.plot(*codes[labels == kind].T, color=colors(k), label=f"{kind:g}", **style)


def _contours(axes: Axes, prior: Distribution, drawn: Tensor, seen: Tensor) -> None:
    low, high = seen.aminmax(dim=0)
    margin = 0.05 * (high - low)
    x, y = (torch.linspace(float(a), float(b), GRID) for a, b in zip(low - margin, high + margin, strict=True))
    plane = torch.cartesian_prod(x, y).to(drawn).unflatten(0, (GRID, GRID))
    levels = prior.log_prob(drawn).float().quantile(drawn.new_tensor([0.05, 0.5]).float())
    axes.contour(x, y, prior.log_prob(plane).T.cpu(), levels=levels.cpu(), colors="0.5", linewidths=1, zorder=0)
