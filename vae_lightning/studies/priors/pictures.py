"""The terms of surgery of every cell -> a picture: what the NELBO is made of, and how far it is above -log p(x)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from matplotlib.figure import Figure

from vae_lightning.studies.repeats import mean
from vae_lightning.studies.store import Figures

COLORS = {"reconstruction": "tab:gray", "mutual_information": "tab:blue", "marginal_kl": "tab:red"}


def priors_picture(figures: Mapping[str, Sequence[Figures]]) -> Figure:
    """A bar for each cell, its terms stacked to the NELBO, with -log p(x) as a mark and the active units beside it."""
    picture = Figure(figsize=(9, 0.6 * len(figures) + 1.6), layout="constrained")
    axes = picture.add_subplot(xlabel="nats per digit, test split")
    names, left = list(figures), [0.0] * len(figures)
    for term, color in COLORS.items():
        widths = [mean(figures[name], term) for name in names]
        axes.barh(names, widths, left=left, color=color, label=term.replace("_", " "))
        left = [start + width for start, width in zip(left, widths, strict=True)]
    likelihood = [-mean(figures[name], "log_likelihood") for name in names]
    axes.plot(likelihood, names, "k|", markersize=22, markeredgewidth=2, label="-log p(x)")
    for end, name in zip(left, names, strict=True):
        information, marginal, units = (
            mean(figures[name], key) for key in ("mutual_information", "marginal_kl", "active_units")
        )
        axes.annotate(
            f"  MI {information:.2f}, marginal KL {marginal:.2f}, {units:.0f} active",
            (end, name),
            va="center",
            fontsize=9,
        )
    axes.set_xlim(0, 1.6 * max(left))
    axes.invert_yaxis()
    picture.legend(loc="outside upper center", ncols=4, frameon=False)
    return picture
