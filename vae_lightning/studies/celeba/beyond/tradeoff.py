"""Figures of the models -> ELBO against the distance from the ground truth, with the curve of beta through some."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from matplotlib.figure import Figure

from vae_lightning.studies.celeba.cell import AGAIN, Cell
from vae_lightning.studies.celeba.results import Result
from vae_lightning.studies.report import Row

DISTANCES = ("fid", "frechet_distance")
LINEAR = 1e3  # nats on either side of 0 where the ELBO's axis is linear


def tradeoff(found: Mapping[Cell, Result]) -> Figure | None:
    """A point for each model: the ELBO that it was given, and the distance it paid; None for fewer than two models."""
    points = {cell: point for cell, result in found.items() if (point := _point(result)) is not None}
    if len(points) < 2:
        return None
    figure = Figure(figsize=(7, 4.5), layout="constrained")
    axes = figure.add_subplot(
        xlabel=f"distance of samples from the ground truth's ({_name(found)})", ylabel="ELBO (nats)"
    )
    axes.set_yscale("symlog", linthresh=LINEAR)
    axes.set_xscale("log")
    curve = sorted((cell.joint.beta, cell) for cell in points if cell.joint and cell.joint.beta is not None)
    if len(curve) > 1:
        axes.plot(*zip(*(points[cell] for _, cell in curve), strict=True), color="0.7", label="beta")
    for cell, (distance, elbo) in points.items():
        axes.scatter(distance, elbo, s=20)
        axes.annotate(
            cell.name.removeprefix("joint, "), (distance, elbo), (3, 3), textcoords="offset points", fontsize=7
        )
    again = next((result for cell, result in found.items() if cell == AGAIN), None)
    if again is not None and (floor := _distance(again)) is not None:
        axes.axvline(floor, color="0.5", linestyle=":", label="ground truth against itself")
    if axes.get_legend_handles_labels()[0]:
        axes.legend(frameon=False, fontsize=8)
    return figure


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
