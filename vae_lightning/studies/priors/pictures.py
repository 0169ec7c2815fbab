"""What cells found -> pictures: what the NELBO is made of, how far it is above -log p(x); images of pseudo-inputs."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor
from torchvision.utils import make_grid

from vae_lightning.studies.repeats import mean
from vae_lightning.studies.store import Figures

COLORS = {
    "reconstruction": "tab:gray",
    "mutual_information": "tab:blue",
    "marginal_kl": "tab:red",
    "kl": "tab:purple",
}
SHORT = {"mutual_information": "MI", "marginal_kl": "marginal KL", "kl": "KL"}

Cells = Mapping[str, tuple[Sequence[str], Sequence[Figures]]]
"""Of each cell by name: the terms of its NELBO, and its figures under every seed."""


def priors_picture(cells: Cells) -> Figure:
    """A bar for each cell, its terms stacked to the NELBO, with -log p(x) as a mark and the active units beside it."""
    picture = Figure(figsize=(9, 0.6 * len(cells) + 1.6), layout="constrained")
    axes = picture.add_subplot(xlabel="nats per digit, test split")
    ends = [_bar(axes, name, terms, runs) for name, (terms, runs) in cells.items()]
    likelihood = [-mean(runs, "log_likelihood") for _, runs in cells.values()]
    axes.plot(likelihood, list(cells), "k|", markersize=22, markeredgewidth=2, label="-log p(x)")
    axes.set_xlim(0, 1.6 * max(filter(math.isfinite, ends), default=1.0))
    axes.invert_yaxis()
    handles = dict(zip(*reversed(axes.get_legend_handles_labels()), strict=True))
    picture.legend(handles.values(), handles.keys(), loc="outside upper center", ncols=5, frameon=False)
    return picture


def _bar(axes: Axes, name: str, terms: Sequence[str], runs: Sequence[Figures]) -> float:
    """One cell's bar; where it ends."""
    end = 0.0
    for term in terms:
        width = mean(runs, term)
        axes.barh(name, width, left=end, color=COLORS[term], label=term.replace("_", " "))
        end += width
    told = [f"{SHORT[term]} {mean(runs, term):.2f}" for term in terms if term in SHORT]
    if all("active_units" in run for run in runs):
        told.append(f"{mean(runs, 'active_units'):.0f} active")
    axes.annotate(f"  {', '.join(told)}", (end, name), va="center", fontsize=9)
    return end


def pseudo_inputs_picture(images: Mapping[str, Tensor]) -> Figure:
    """For each model a block of rows: a pseudo-input in front, and beside it images drawn from it."""
    picture = Figure(figsize=(3.6 * len(images), 3.4), layout="constrained")
    for axes, (name, rows) in zip(picture.subplots(1, len(images), squeeze=False)[0], images.items(), strict=True):
        gap = torch.ones_like(rows[:, :1])  # white, between the two
        shown = torch.cat((rows[:, :1], gap, rows[:, 1:]), 1)
        grid = make_grid(shown.flatten(0, 1), nrow=shown.shape[1], padding=1, pad_value=1)
        axes.imshow(grid.permute(1, 2, 0).clamp(0, 1).numpy(), interpolation="nearest")
        axes.set_axis_off()
        axes.set_title(f"{name}: a pseudo-input, then draws from it", fontsize=9)
    return picture
