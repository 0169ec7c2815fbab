"""Curves: the folder of a run -> the values of its figures by step, as its logger wrote them."""

from __future__ import annotations

import csv
from functools import cached_property
from pathlib import Path
from typing import TypeAlias

from tensorboard.backend.event_processing.event_accumulator import IMAGES, SCALARS, TENSORS, EventAccumulator

Curve: TypeAlias = "dict[int, float]"
"""The values of a figure by the step they are of."""


class Curves:
    """The figures of a run: of TensorBoard's event files, or of CSVLogger's metrics.csv; none of other loggers.

    Examples:
        >>> from pathlib import Path
        >>> from tempfile import mkdtemp
        >>> folder = Path(mkdtemp())
        >>> _ = (folder / "metrics.csv").write_text("step,val/nelbo\\n9,30.5\\n19,28.1\\n")
        >>> Curves(folder)["val/nelbo"]
        {9: 30.5, 19: 28.1}
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __getitem__(self, name: str) -> Curve:
        """The values of one figure by step; empty if it was not logged."""
        if any(self.folder.glob("events.out.tfevents.*")):
            return self._of_events(name)
        try:
            return {int(row["step"]): float(row[name]) for row in self._rows if row.get(name)}
        except (ValueError, KeyError, TypeError, csv.Error) as error:
            raise ValueError(f"{self.folder / 'metrics.csv'} is not as CSVLogger writes it: {error}") from error

    def _of_events(self, name: str) -> Curve:
        try:
            found = self._events.Scalars(name) if name in self._events.Tags()[SCALARS] else ()
        except Exception as error:  # its reader raises whatever protobuf does, of a file that is damaged
            text = " ".join(str(error).split())[:200]
            raise ValueError(f"the events in {self.folder} cannot be read: {text}") from error
        return {point.step: point.value for point in found}

    @cached_property
    def _events(self) -> EventAccumulator:
        everything, little = 0, 1
        sizes = {SCALARS: everything, IMAGES: little, TENSORS: little}
        return EventAccumulator(str(self.folder), size_guidance=sizes).Reload()

    @cached_property
    def _rows(self) -> list[dict[str, str]]:
        file = self.folder / "metrics.csv"
        if not file.is_file():
            return []
        with file.open(newline="") as rows:
            return list(csv.DictReader(rows))
