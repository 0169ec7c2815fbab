"""Strips of points of a plane -> one picture, over the data."""

from __future__ import annotations

import torch
from matplotlib.figure import Figure
from torch import Tensor

from vae_lightning.callbacks.pictures.strips import Strips

CENTRAL = (0.01, 0.99)  # quantiles of the data that are in view, along either axis


def paint_plane(strips: Strips, data: Tensor) -> Figure:
    """The data in gray; a strip is a line that ends in a dot, in a colour of its own if it has a label.

    A point of which an entry is missing has no place in the plane.
    """
    data, rows = whole(data.float().cpu()), [row.float().cpu() for row in strips.rows]
    view = data.quantile(torch.tensor(CENTRAL), dim=0) if len(data) else data
    seen = whole(torch.cat((view, *rows)))
    low, high = seen.min(0).values, seen.max(0).values
    margin = 0.05 * (high - low).clamp(min=1e-6)
    x, y = zip((low - margin).tolist(), (high + margin).tolist(), strict=True)
    figure = Figure((4.4, 3.2), layout="constrained")
    figure.suptitle(strips.title, fontsize=10, wrap=True)
    axes = figure.add_subplot(xlim=x, ylim=y, xlabel="$x_1$", ylabel="$x_2$")
    axes.plot(*data.T, ".", color="0.75", markersize=3, zorder=0)
    for k, row in enumerate(rows):
        color, label = (f"C{k}", strips.labels[k]) if strips.labels else ("tab:blue", None)
        axes.plot(*row.T, "-o", markevery=[-1], color=color, markersize=4, linewidth=1, label=label)
    if strips.labels:
        figure.legend(loc="outside right center", fontsize="small", frameon=False)
    return figure


def whole(points: Tensor) -> Tensor:
    """Those of which no entry is missing."""
    return points[~points.isnan().any(1)]
