"""Deviances -> a picture: against the number of bits, a line for each encoder, a panel for each decoder and split."""

from __future__ import annotations

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from vae_lightning.studies.newsgroups.paper import ENCODERS, PAPER
from vae_lightning.studies.newsgroups.table import Grid

COLORS = dict(zip(ENCODERS, ("tab:blue", "tab:orange", "tab:green"), strict=True))
ROWS = {"deviance": "test", "train_deviance": "train"}


def table_two_picture(grid: Grid) -> Figure | None:
    """Ours as whole lines, the paper's as broken ones; None of no figures."""
    depths = sorted({depth for _, depth, _ in grid.of("deviance")})
    if not depths:
        return None
    picture = Figure(figsize=(4.2 * len(depths) + 0.8, 7), layout="constrained")
    panels = picture.subplots(len(ROWS), len(depths), sharex=True, sharey="row", squeeze=False)
    for axes_of, (metric, split) in zip(panels, ROWS.items(), strict=True):
        for axes, depth in zip(axes_of, depths, strict=True):
            _panel(axes, grid, metric, split, depth)
        axes_of[0].set_ylabel(f"deviance, nats a document, {split}")
    for axes in panels[-1]:
        axes.set_xlabel("bits")
    picture.legend(*panels[0][0].get_legend_handles_labels(), loc="outside upper center", ncols=6, frameon=False)
    return picture


def _panel(axes: Axes, grid: Grid, metric: str, split: str, depth: int) -> None:
    values = {place: row.value for place, row in grid.of(metric).items()}
    for encoder, color in COLORS.items():
        ours = sorted((place[0], value) for place, value in values.items() if place[1:] == (depth, encoder))
        if ours:
            axes.plot(*zip(*ours, strict=True), "-o", color=color, label=encoder)
        known = {bits: PAPER[split].get((bits, depth, encoder)) for bits, _ in ours}
        paper = [(bits, value) for bits, value in known.items() if value is not None]
        if paper:
            axes.plot(*zip(*paper, strict=True), "--x", color=color, alpha=0.5, label=f"{encoder}, paper")
    axes.set_xscale("log", base=2)
    axes.xaxis.set_major_formatter("{x:g}")
    axes.set_title(f"decoder depth {depth}")
