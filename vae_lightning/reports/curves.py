"""Curves: the events or the CSV file of a run's folder -> each figure by steps."""

from __future__ import annotations

import csv
import math
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

MOST = 1000
"""Points of a curve that are read; of more, TensorBoard's own reader takes a sample."""


@dataclass(frozen=True)
class Curve:
    """A figure's finite values, one for each of these steps; `seconds` is the time when each was logged, if known."""

    steps: list[int]
    values: list[float]
    seconds: list[float]


def read_curves(folder: Path) -> Mapping[str, Curve]:
    """The curves of a run, by their names; none if it was not logged."""
    if next(folder.glob("events.out.tfevents.*"), None) is not None:
        return _of_events(folder)
    file = folder / "metrics.csv"
    return _of_rows(file) if file.is_file() else {}


def _of_events(folder: Path) -> Mapping[str, Curve]:
    sizes = {"scalars": MOST, "tensors": 1, "images": 1, "histograms": 1, "compressedHistograms": 1, "graph": 1}
    try:
        read = EventAccumulator(str(folder), size_guidance=sizes).Reload()
        names = read.Tags()["scalars"]
        points = {name: [(p.step, p.value, p.wall_time) for p in read.Scalars(name)] for name in names}
    except Exception as error:  # its reader raises whatever protobuf does, of a file that is damaged
        raise ValueError(f"the events in {folder} cannot be read: {' '.join(str(error).split())[:200]}") from error
    return _curves(points)


def _of_rows(file: Path) -> Mapping[str, Curve]:
    points: dict[str, list[tuple[int, float, float]]] = defaultdict(list)
    try:
        with file.open(newline="") as rows:
            for row in csv.DictReader(rows):
                step = int(float(row.pop("step", None) or 0))
                for name, text in row.items():
                    if name and isinstance(text, str) and text:
                        points[name].append((step, float(text), math.nan))
    except (ValueError, OverflowError, csv.Error) as error:
        raise ValueError(f"{file} is not as CSVLogger writes it: {error}") from error
    return _curves(points)


def _curves(points: Mapping[str, list[tuple[int, float, float]]]) -> Mapping[str, Curve]:
    finite = {name: [each for each in found if math.isfinite(each[1])] for name, found in points.items()}
    return {
        name: Curve([step for step, _, _ in found], [value for _, value, _ in found], [time for *_, time in found])
        for name, found in finite.items()
        if found
    }
