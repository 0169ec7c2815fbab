"""Charts: the curves of runs -> what an SVG of each figure consists of, in its own coordinates."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from matplotlib.ticker import EngFormatter, MaxNLocator

from vae_lightning.reports.figures import rounded
from vae_lightning.sweeps.comparison.curves import Curve
from vae_lightning.sweeps.comparison.glossary import entry

WIDTH, HEIGHT = 360, 220
LEFT, TOP, RIGHT, BOTTOM = 52, 8, 350, 190
MOST = 300
"""Points of a line that are drawn."""
_SETTLED = 0.05  # of all steps: what lies before is drawn, but the axis is not made for it
_FEW = 10  # points, of which each counts
_FIRST = ("nelbo", "loss", "deviance", "reconstruction", "kl", "log_likelihood", "active_units", "mutual_information")
_NO_CURVE = ("epoch", "hp_metric", "log_n")


@dataclass(frozen=True)
class Tick:
    """A place on an axis, in the SVG's coordinates."""

    at: float
    label: str


@dataclass(frozen=True)
class Series:
    """One line: its `number` chooses the colour, `points` are as SVG's polyline has them; `dot` if it is one alone."""

    label: str
    number: int
    points: str
    last: str
    dot: tuple[float, float] | None


@dataclass(frozen=True)
class Chart:
    """A figure by steps."""

    name: str
    unit: str
    series: Sequence[Series]
    x: Sequence[Tick]
    y: Sequence[Tick]

    @property
    def told(self) -> str:
        """For those who do not see it."""
        ends = "; ".join(f"{each.label} ends at {each.last}" for each in self.series)
        return f"{self.name.replace('_', ' ')} by training step: {ends}"


Lines = Mapping[str, Curve]
"""Curves by what they are called in the legend."""


def charts_of_run(curves: Mapping[str, Curve]) -> list[Chart]:
    """Training and validation of each figure, those most asked for first."""
    splits = {"train": "training", "val": "validation"}
    by_name = {
        name: {called: curves[f"{split}/{name}"] for split, called in splits.items() if f"{split}/{name}" in curves}
        for name in _names(curves, splits)
    }
    return [chart(name, lines) for name, lines in by_name.items()]


def charts_of_runs(runs: Mapping[str, Mapping[str, Curve]]) -> list[Chart]:
    """The validation of each figure that several runs have, a line for each run."""
    every = _names([name for curves in runs.values() for name in curves], ["val"])
    lines = {
        name: {run: curves[f"val/{name}"] for run, curves in runs.items() if f"val/{name}" in curves} for name in every
    }
    order = {run: number for number, run in enumerate(runs, 1)}
    return [chart(name, found, order) for name, found in lines.items() if len(found) > 1]


def chart(name: str, lines: Lines, order: Mapping[str, int] | None = None) -> Chart:
    """The chart of some lines; `order` has the number of each line's colour."""
    steps = [step for curve in lines.values() for step in curve.steps]
    left, right = _span(min(steps), max(steps))
    low, high = _range([value for curve in lines.values() for value in _settled(curve, left, right)])
    place = _Place(left, right, low, high)
    numbers = order or {label: number for number, label in enumerate(lines, 1)}
    series = [_series(label, numbers[label], curve, place) for label, curve in lines.items()]
    x = [
        Tick(place.x(round(at)), EngFormatter(sep="")(at))
        for at in _ticks(float(left), float(right))
        if at == round(at) and min(steps) <= at <= max(steps)
    ]
    y = [Tick(place.y(at), f"{at:,.6g}") for at in _ticks(low, high)]
    return Chart(name, entry(name).unit, series, x, y)


@dataclass(frozen=True)
class _Place:
    left: int
    right: int
    low: float
    high: float

    def x(self, step: int) -> float:
        return round(LEFT + (step - self.left) / (self.right - self.left) * (RIGHT - LEFT), 1)

    def y(self, value: float) -> float:
        share = (value - self.low) / (self.high - self.low)
        return round(BOTTOM - min(max(share, -1.0), 2.0) * (BOTTOM - TOP), 1)  # the SVG cuts off what is outside


def _series(label: str, number: int, curve: Curve, place: _Place) -> Series:
    every = -(-len(curve.steps) // MOST)
    chosen = list(zip(curve.steps, curve.values, strict=True))
    chosen = [*chosen[:-1:every], chosen[-1]]
    points = [(place.x(step), place.y(value)) for step, value in chosen]
    drawn = " ".join(f"{x:g},{y:g}" for x, y in points)
    return Series(label, number, drawn, rounded(curve.values[-1]), points[0] if len(points) == 1 else None)


def _names(curves: Iterable[str], splits: Iterable[str]) -> list[str]:
    """The figures that have a curve, without errors of others and what is the same at all steps."""
    found = {name for split, _, name in (key.partition("/") for key in curves) if split in splits and name}
    shown = {name for name in found if name not in _NO_CURVE and not name.endswith("_error")}
    return sorted(shown, key=lambda name: (_FIRST.index(name) if name in _FIRST else len(_FIRST), name))


def _settled(curve: Curve, left: int, right: int) -> list[float]:
    """The values by which the axis is made: those after the first few steps, in which figures fall from any height."""
    if len(curve.steps) < _FEW:
        return curve.values
    begin = left + _SETTLED * (right - left)
    return [v for step, v in zip(curve.steps, curve.values, strict=True) if step >= begin] or curve.values[-1:]


def _span(first: int, last: int) -> tuple[int, int]:
    """The ends of the axis of steps; a step that is alone stands in the middle."""
    return (first, last) if last > first else (first - 1, last + 1)


def _range(values: Sequence[float]) -> tuple[float, float]:
    low, high = min(values), max(values)
    margin = 0.06 * (high - low) or 0.05 * abs(high) or 0.5
    return low - margin, high + margin


def _ticks(low: float, high: float) -> list[float]:
    return [float(at) for at in MaxNLocator(4).tick_values(low, high) if low <= at <= high]
