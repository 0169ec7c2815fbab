"""Curves: the folder of a run -> the values of its figures by step, as its logger wrote them."""

from __future__ import annotations

import csv
import math
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator


@dataclass(frozen=True)
class Curve:
    """A figure's values, one for each of these steps; `seconds` is the time when each was logged, NaN if not known."""

    steps: list[int]
    values: list[float]
    seconds: list[float]

    def finite(self) -> Curve:
        """Its points that are finite."""
        points = [each for each in zip(self.steps, self.values, self.seconds, strict=True) if math.isfinite(each[1])]
        return Curve([step for step, _, _ in points], [value for _, value, _ in points], [time for *_, time in points])

    def by_step(self) -> dict[int, float]:
        """The value at each step: the last one, where a step was logged again."""
        return dict(zip(self.steps, self.values, strict=True))


def read_curves(folder: Path, most: int = 0) -> Mapping[str, Curve]:
    """The curves of a run, of TensorBoard's event files or of CSVLogger's metrics.csv; none of other loggers.

    Of events with more than `most` points of a curve, TensorBoard's reader takes a sample; 0 stands for all of them.
    ValueError for files that are damaged.
    """
    if next(folder.glob("events.out.tfevents.*"), None) is not None:
        return _of_events(folder, most)
    file = folder / "metrics.csv"
    return _of_rows(file) if file.is_file() else {}


def _of_events(folder: Path, most: int) -> Mapping[str, Curve]:
    sizes = {"scalars": most, "tensors": 1, "images": 1, "histograms": 1, "compressedHistograms": 1, "graph": 1}
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
    return {
        name: Curve([step for step, _, _ in found], [value for _, value, _ in found], [time for *_, time in found])
        for name, found in points.items()
    }
