"""Strips of vectors -> one picture, a small panel of curves for each strip."""

from __future__ import annotations

import math

import torch
from matplotlib import colormaps
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure

from vae_lightning.callbacks.pictures.strips import Strips

FILLED = 0.85  # of a panel's width and height; the rest keeps it apart from its neighbours


def paint_curves(strips: Strips) -> Figure:
    """The entries of a vector from left to right; the first of a strip is dark, the last is bright.

    A curve is interrupted where an entry is missing.
    """
    rows = [row.float().cpu() for row in strips.rows]
    entries = torch.cat([row.flatten() for row in rows])
    low, high = map(float, entries[~entries.isnan()].aminmax())
    columns = math.isqrt(len(rows) - 1) + 1
    lines = -(-len(rows) // columns)
    figure = Figure((4.5, min(0.8 * lines, 2.6) + 0.5), dpi=200, layout="constrained")
    axes = figure.add_subplot(xlim=(0, columns), ylim=(lines, 0))
    axes.set_axis_off()
    axes.set_title(f"{strips.title}. Values from {low:.3g} to {high:.3g}", fontsize=10, wrap=True)
    for k, row in enumerate(rows):
        across = k % columns + torch.linspace(0, FILLED, row.shape[1])
        down = k // columns + 1 - FILLED * (row - low) / max(high - low, 1e-12)
        colors = colormaps["viridis"](torch.linspace(0, 0.9, len(row)).numpy())
        curves = torch.stack((across.expand_as(down), down), -1).numpy()
        axes.add_collection(LineCollection(list(curves), colors=colors))
        if strips.labels:
            axes.text(k % columns, k // columns + 0.1, strips.labels[k], fontsize=9)
    return figure
