"""Optima along beta -> a picture: likelihood against mismatch, and how the four centers become a rectangle."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from matplotlib import colormaps
from matplotlib.figure import Figure

from vae_lightning.studies.tradeoff.optima import Point

SHOWN = (0.0, 0.25, 0.5, 1.0, 2.0, 4.0, 16.0, math.inf)
"""The betas that are written into the picture."""


def tradeoff_picture(points: Sequence[Point]) -> Figure:
    """Left: the curve, with the ELBO's level through beta = 1. Right: the centers in the order 00, 01, 11, 10."""
    picture = Figure(figsize=(13, 5.5), layout="constrained")
    left, right = picture.subplots(1, 2)
    colors = colormaps["viridis"](np.linspace(0, 0.92, len(points)))
    mismatch, likelihood = [point.mismatch for point in points], [point.log_likelihood for point in points]
    left.plot(mismatch, likelihood, color="0.8", zorder=1)
    left.scatter(mismatch, likelihood, c=colors, zorder=2)
    for point, color in zip(points, colors, strict=True):
        if point.beta in SHOWN:
            at = (point.mismatch, point.log_likelihood)
            left.annotate(_name(point.beta), at, (7, -14), textcoords="offset points", fontsize=10)
        loop = point.centers[[0, 1, 3, 2, 0]].numpy()
        strong = point.beta in (0.0, 1.0, math.inf)
        right.plot(*loop.T, color=color, linewidth=2.5 if strong else 0.7, marker="o", markersize=6 if strong else 2)
        if strong:
            right.plot([], [], color=color, linewidth=2.5, label=_name(point.beta))
    for elbo in [point.elbo for point in points if point.beta == 1]:
        ends = np.array([0.0, max(mismatch)])
        left.plot(
            ends, elbo + ends, "k:", linewidth=1, label=f"likelihood - mismatch = {elbo:.4f}, the ELBO at beta = 1"
        )
        left.legend(loc="center right", frameon=False)
    left.set(xlabel="mismatch E KL(q(z | x) || p(z | x)), nats", ylabel="log-likelihood, nats")
    left.set(xlim=(-0.006, 1.7 * max(mismatch)), ylim=(min(likelihood) - 0.012, max(likelihood) + 0.008))
    left.set_title("(a) what each beta gives up, and for what")
    right.set_title("(b) the decoder's centers, joined 00, 01, 11, 10")
    right.set_aspect("equal")
    right.legend(loc="upper center", bbox_to_anchor=(0.5, -0.06), ncols=3, frameon=False)
    return picture


def _name(beta: float) -> str:
    if math.isinf(beta):
        return "infinity: the best consistent model"
    return {0.0: "beta = 0: maximum likelihood", 1.0: "1: the ELBO"}.get(beta, f"{beta:g}")
