"""Figures of the models -> ELBO against the distance from the ground truth, with the curve of beta through some."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from vae_lightning.studies.celeba.cell import AGAIN, Cell
from vae_lightning.studies.celeba.results import Result
from vae_lightning.studies.report import Row

DISTANCES = ("fid", "frechet_distance")
Floats = NDArray[np.float64]
ROOM = 10.0  # points of 1/72 inch that a number takes
_ANGLES = np.linspace(0.25 * np.pi, 2.25 * np.pi, 24, endpoint=False)
AROUND: Floats = np.concatenate([r * np.stack([np.cos(_ANGLES), np.sin(_ANGLES)], 1) for r in np.arange(10, 120, 6)])
LINEAR = 1e3  # nats on either side of 0 where the ELBO's axis is linear


def tradeoff(found: Mapping[Cell, Result]) -> Figure | None:
    """A number for each model at its ELBO and the distance it paid, named at the side; None for fewer than two models.

    Where numbers would lie upon one another they stand off their points, each at the end of a line.
    """
    points = {cell: point for cell, result in found.items() if (point := _point(result)) is not None}
    if len(points) < 2:
        return None
    figure = Figure(figsize=(9, 5), layout="constrained")
    axes = figure.add_subplot(
        xlabel=f"distance of samples from the ground truth's ({_name(found)})", ylabel="ELBO (nats)"
    )
    axes.set_yscale("symlog", linthresh=LINEAR, linscale=2)
    axes.set_xscale("log")
    curve = sorted((cell.joint.beta, cell) for cell in points if cell.joint and cell.joint.beta is not None)
    if len(curve) > 1:
        axes.plot(*zip(*(points[cell] for _, cell in curve), strict=True), color="0.7", label="beta")
    for number, (cell, (distance, elbo)) in enumerate(points.items(), 1):
        axes.scatter(distance, elbo, s=20, label=f"{number}  {cell.name.removeprefix('joint, ')}")
    again = next((result for cell, result in found.items() if cell == AGAIN), None)
    if again is not None and (floor := _distance(again)) is not None:
        axes.axvline(floor, color="0.5", linestyle=":", label="ground truth against itself")
    figure.legend(loc="outside right upper", frameon=False, fontsize=8)
    _number(axes, list(points.values()))
    return figure


def _number(axes: Axes, points: Sequence[tuple[float, float]]) -> None:
    """Write 1, 2, ... beside the points, each at the first free place around its own, near before far."""
    axes.figure.draw_without_rendering()  # type: ignore[union-attr]  # places are known once the layout is
    at: Floats = axes.transData.transform(points) * 72 / axes.figure.dpi
    inside: Floats = np.asarray(axes.get_window_extent().padded(-ROOM).extents) * 72 / axes.figure.dpi
    taken = [*at]
    for number, (point, place) in enumerate(zip(points, at, strict=True), 1):
        free = next((spot for spot in place + AROUND if _is_free(spot, taken, inside)), place + AROUND[0])
        taken.append(free)
        axes.annotate(
            str(number), point, free - place, textcoords="offset points", fontsize=7, ha="center", va="center",
            arrowprops={"arrowstyle": "-", "color": "0.7", "linewidth": 0.5, "shrinkA": 4, "shrinkB": 2},
        )  # fmt: skip


def _is_free(spot: Floats, taken: Sequence[Floats], inside: Floats) -> bool:
    within = bool((inside[:2] <= spot).all() and (spot <= inside[2:]).all())
    return within and all(float(np.hypot(*(spot - other))) >= ROOM for other in taken)


def _point(result: Result) -> tuple[float, float] | None:
    distance = _distance(result)
    return None if distance is None or "elbo" not in result.figures else (distance, float(result.figures["elbo"]))


def _distance(result: Result) -> float | None:
    return next((max(float(result.figures[name]), 1e-6) for name in DISTANCES if name in result.figures), None)


def _name(found: Mapping[Cell, Result]) -> str:
    known = {name for result in found.values() for name in result.figures}
    return "FID" if "fid" in known else "Fréchet distance"


def told(rows: Sequence[Row], joints: Sequence[str]) -> list[str]:
    """A paragraph: which of these models is nearest, and which has the highest ELBO; of fewer than two, none."""
    distances = {row.cell: row.value for row in rows if row.metric in DISTANCES and row.cell in joints}
    bounds = {row.cell: row.value for row in rows if row.metric == "elbo" and row.cell in distances}
    if len(bounds) < 2:
        return []
    nearest, highest = min(distances, key=distances.__getitem__), max(bounds, key=bounds.__getitem__)
    return [
        f"Nearest to the ground truth is *{nearest}*, at {distances[nearest]:.4g}, with an ELBO of "
        f"{bounds[nearest]:.0f} nats. The highest ELBO is that of *{highest}*: {bounds[highest]:.0f} nats, at "
        f"{distances[highest]:.4g}."
    ]
